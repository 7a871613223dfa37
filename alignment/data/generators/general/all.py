"""All tasks of the family `general_tasks`, and drawing their problems in turn.

Neighbours: one file for each group, ../families.py (which draws distinct problems).
"""

import random
from collections.abc import Iterator
from itertools import cycle
from typing import Any, get_args

from alignment.core.errors import DataError
from alignment.data.generators.general import form, instructions, preference, special, tool_use
from alignment.data.generators.general.task import Group, Task
from alignment.data.rows import Message, Problem, user_turn

TASKS: dict[str, Task] = {
    task.name: task for group in (instructions, form, preference, tool_use, special) for task in group.TASKS
}
GROUPS: tuple[Group, ...] = get_args(Group)
GENERAL_PARAMETERS = ("tasks", "groups", "slips")
GENERAL_COLUMNS = ("answer", "instruction_id_list", "kwargs", "known_answers", "tools", "calls")


def general_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the tasks, one of each in turn, the same ones for the same seed; they may repeat.

    Parameters: `tasks` and `groups`, lists of names (all, if both are missing; with both, the tasks of either), and `slips`,
    the fraction of demonstrations that make the mistake which the task is about (0 if missing). Raises DataError for others.
    """
    chosen, slips = _chosen(parameters), parameters.get("slips", 0.0)
    if set(parameters) - set(GENERAL_PARAMETERS) or not isinstance(slips, (int, float)) or not 0 <= slips <= 1:
        raise DataError(
            f"`general_tasks` takes `tasks` and `groups` as lists of names, and `slips` from 0 to 1, but found {parameters}"
        )
    draw = random.Random(seed)
    for task in cycle(chosen):
        yield _problem(task, draw, slips)


def _chosen(parameters: dict[str, Any]) -> list[Task]:
    """The tasks that are asked for, in the order in which they are listed here."""
    tasks, groups = parameters.get("tasks", []), parameters.get("groups", [])
    for given, known in ((tasks, TASKS), (groups, GROUPS)):
        unknown = [one for one in given if one not in known] if isinstance(given, list) else [given]
        if unknown:
            raise DataError(f"`general_tasks` has no {unknown[0]!r}; write some of: {', '.join(known)}")
    if not tasks and not groups:
        return list(TASKS.values())
    return [task for task in TASKS.values() if task.name in tasks or task.group in groups]


def _problem(task: Task, draw: random.Random, slips: float) -> Problem:
    made = task.make(draw)
    opening: list[Message] = [{"role": "system", "content": made.system}] if made.system else []
    return Problem(
        id="",
        messages=[*opening, user_turn(made.asked)],
        answer=made.answer,
        family=task.name,
        columns=made.columns,
        tools=made.tools,
        demonstration=made.slip if draw.random() < slips else made.right,
    )
