"""Prompts of the evaluation task `constraints`: a small writing task with one constraint of IFEval's 25 types.

One constraint per prompt, as many that demand planning as precision (rewards/kinds/instruction/constraints).
Neighbours: constraints.py (the requests), training.py (rows to train on), data/generators/families.py (draws distinct
ones), evaluation/measures/constraints.py (scores the answers).
"""

import random
from collections.abc import Iterator
from functools import cache
from typing import Any

from alignment.core.errors import DataError
from alignment.data.generators.instructions.constraints import EASY, FURTHER, OPEN_LENGTH, Maker
from alignment.data.generators.instructions.problem import constrained
from alignment.data.generators.instructions.writing_tasks import SUBJECTS
from alignment.data.rows import Problem
from rewards.kinds.instruction.constraints import CONSTRAINTS, DEMANDS, Demand

CONSTRAINT_PARAMETERS = ("demand",)


def constraint_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family `constraints`, the same for the same seed; they may repeat.

    Args:
        seed: of the random draws.
        parameters: `{demand: planning | precision}`, or empty for both alike. Raises DataError for anything else.
    """
    wanted = [parameters["demand"]] if "demand" in parameters else list(DEMANDS)
    if set(parameters) - set(CONSTRAINT_PARAMETERS) or not set(wanted) <= set(DEMANDS):
        raise DataError(
            f"the family `constraints` has no parameters {parameters}; write `demand: planning`, `demand: precision`, or none"
        )
    draw = random.Random(seed)
    subjects = sorted(SUBJECTS)
    while True:
        subject = draw.choice(subjects)
        types = _makers()[draw.choice(wanted)]
        maker = draw.choice(types[draw.choice(sorted(types))])
        yield constrained(draw, subject, [maker(draw, SUBJECTS[subject])], OPEN_LENGTH)


@cache
def _makers() -> dict[Demand, dict[str, list[Maker]]]:
    """The makers of each constraint type, by demand."""
    found: dict[Demand, dict[str, list[Maker]]] = {demand: {} for demand in DEMANDS}
    for kind in (*EASY, *FURTHER):
        found[CONSTRAINTS[kind.type].demand].setdefault(kind.type, []).append(kind.make)
    return found
