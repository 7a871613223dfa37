"""A problem from a subject and the constraints that are asked for. Neighbours: training.py and evaluation.py (draw them)."""

import random
from collections.abc import Collection, Sequence

from alignment.data.generators.instructions.constraints import REPEAT, Constraint
from alignment.data.generators.instructions.writing_tasks import OF_TYPE, OPEN, PROSE
from alignment.data.rows import Problem, user_turn


def constrained(
    draw: random.Random, subject: str, constraints: Sequence[Constraint], open_only: Collection[str]
) -> Problem:
    """A writing task about a subject with these requests. open_only: types with which tasks for prose do not go."""
    names = [name for name, _, _ in constraints]
    fitting = OPEN if any(name in open_only for name in names) else OPEN + PROSE
    task = draw.choice(OF_TYPE.get(names[0]) or fitting).format(subject)
    requests = " ".join(request for _, _, request in constraints)
    kwargs = [{"prompt_to_repeat": task} if name == REPEAT else values for name, values, _ in constraints]
    columns = {"instruction_id_list": names, "kwargs": kwargs}
    return Problem(id="", messages=[user_turn(f"{task} {requests}")], answer="", columns=columns)
