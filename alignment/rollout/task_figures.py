"""Figures of each task in a step: how many of the step's groups are its own, their reward, and how many are solved.

Their names are `task/NAME/groups_fraction`, `task/NAME/reward` and `task/NAME/pass_rate`; only where a stage has
several tasks. Neighbours: scoring.py (figures of all rollouts), records/metrics.py (what they mean), report/tasks.py
(the table).
"""

from collections.abc import Sequence

from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.scoring import Judged, is_right


def task_figures(judged: Sequence[Judged], tasks: Sequence[str], specs: Sequence[Reward]) -> dict[str, float]:
    """Of a step's rollouts on this rank. tasks: all tasks of the stage; with one alone there is nothing to tell apart."""
    if len(tasks) < 2 or not judged:
        return {}
    by_task: dict[str, list[Judged]] = {task: [] for task in tasks}
    for one in judged:
        by_task[one.problem.family].append(one)
    figures: dict[str, float] = {}
    for task, rows in by_task.items():
        figures[f"task/{task}/groups_fraction"] = len(rows) / len(judged)
        totals = [one.total for one in rows if one.total is not None]
        rights = [right for one in rows if (right := is_right(one, specs)) is not None]
        if totals:
            figures[f"task/{task}/reward"] = sum(totals) / len(totals)
        if rights:
            figures[f"task/{task}/pass_rate"] = sum(rights) / len(rights)
    return figures
