"""Instruction-following problems to train on: a small writing task with one or two constraints that a program can check.

Made for RL on small models: short tasks, and 13 of IFEval's types or any others that are not held out. A problem has no
answer; the verifier `instruction` reads its columns `instruction_id_list` and `kwargs`. Neighbours:
data/generators/families.py (draws distinct ones), constraints.py (the requests), evaluation.py (one constraint a
prompt, of all 25 types).
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

from alignment.core.errors import DataError
from alignment.data.generators.instructions.constraints import EASY, FURTHER, NOT_PROSE, OPEN_LENGTH, Kind
from alignment.data.generators.instructions.problem import constrained
from alignment.data.generators.instructions.writing_tasks import SUBJECTS
from alignment.data.rows import Problem
from rewards.kinds.instruction.constraints import CONSTRAINTS

INSTRUCTION_PARAMETERS = ("most_constraints", "held_out_types")


def instruction_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family `instructions`, the same for the same seed; they may repeat.

    Args:
        seed: of the random draws.
        parameters: `most_constraints: 1 | 2` a problem (2), and `held_out_types`: all of IFEval's types but these are drawn
            from, in place of the 13 that are easy for small models. Raises DataError for anything else.
    """
    most, held_out = parameters.get("most_constraints", 2), parameters.get("held_out_types")
    if set(parameters) - set(INSTRUCTION_PARAMETERS) or most not in (1, 2):
        raise DataError(
            f"the family `instructions` has no parameters {parameters}; write `most_constraints: 1` or `2`, or "
            "`held_out_types: [keywords:frequency, ...]`"
        )
    kinds = EASY if held_out is None else _without(held_out)
    open_only = NOT_PROSE if held_out is None else OPEN_LENGTH
    draw = random.Random(seed)
    subjects = sorted(SUBJECTS)
    while True:
        subject = draw.choice(subjects)
        constraints = [one.make(draw, SUBJECTS[subject]) for one in _compatible(draw, kinds, draw.randint(1, most))]
        constraints.sort(key=lambda one: one[0].startswith("startend:"))  # the ending is asked for last
        yield constrained(draw, subject, constraints, open_only)


def _without(held_out: Any) -> tuple[Kind, ...]:
    """The kinds of all types that are not held out."""
    named = held_out if isinstance(held_out, list) else [held_out]
    if unknown := [name for name in named if name not in CONSTRAINTS]:
        raise DataError(
            f"`held_out_types` has {unknown[0]!r}, which is no type; the types are {', '.join(CONSTRAINTS)}"
        )
    found = tuple(kind for kind in EASY + FURTHER if kind.type not in named)
    if not found:
        raise DataError("`held_out_types` has every type, so that there is nothing to draw; leave some out")
    return found


def _compatible(draw: random.Random, kinds: Sequence[Kind], count: int) -> list[Kind]:
    """One kind of constraint, or two without a common theme."""
    first = draw.choice(kinds)
    if count == 1:
        return [first]
    fitting = [kind for kind in kinds if not kind.themes & first.themes]
    return [first, draw.choice(fitting)] if fitting else [first]
