"""Small programs to write, without end: a function that does some steps of arithmetic, with calls that it has to pass.

`python_tests` reads the column `tests`, and `solution` is a program that passes. The steps are told in words and in order,
so a right program needs its brackets. Neighbours: procedural.py (draws distinct ones), rows.py (the Problem these are).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Problem, user_turn

PROGRAM_PARAMETERS = ("min_steps", "max_steps")
_MOST_STEPS, _LARGEST = 6, 9
_INPUTS = (0, 1, -1, 4, 10, -7)


@dataclass(frozen=True)
class Step:
    """One thing to do with a number: `add 3`."""

    word: str
    sign: str
    operand: int

    def __str__(self) -> str:
        return f"{self.word} {self.operand}"

    def written(self, before: str) -> str:
        """The expression after this step; a product takes what was added before in brackets."""
        bracketed = self.sign == "*" and ("+" in before or "-" in before)
        return f"({before}) * {self.operand}" if bracketed else f"{before} {self.sign} {self.operand}"

    def done(self, value: int) -> int:
        """What it makes of a number."""
        return {"+": value + self.operand, "-": value - self.operand, "*": value * self.operand}[self.sign]


_KINDS = (("add", "+", 1), ("subtract", "-", 1), ("multiply by", "*", 2))


def program_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family, the same ones for the same seed; they may repeat.

    The parameters are `min_steps` and `max_steps`, from 1 to 6. Raises DataError for others.
    """
    fewest, most = parameters.get("min_steps", 1), parameters.get("max_steps", 3)
    counts = isinstance(fewest, int) and isinstance(most, int) and 1 <= fewest <= most <= _MOST_STEPS
    if set(parameters) - set(PROGRAM_PARAMETERS) or not counts:
        raise DataError(f"programs take `min_steps` and `max_steps`, from 1 to {_MOST_STEPS}, and found {parameters}")
    draw = random.Random(seed)
    while True:
        kinds = [draw.choice(_KINDS) for _ in range(draw.randint(fewest, most))]
        yield _problem([Step(word, sign, draw.randint(smallest, _LARGEST)) for word, sign, smallest in kinds])


def _problem(steps: list[Step]) -> Problem:
    outputs = list(_INPUTS)
    written, lines = "x", []
    for step in steps:
        written = step.written(written)
        lines.append(written)
        outputs = [step.done(value) for value in outputs]
    tests = {"form": "calls", "entry_point": "f", "calls": [[value] for value in _INPUTS], "outputs": outputs}
    return Problem(
        id="",
        messages=[user_turn(f"Write f(x): {', '.join(map(str, steps))}.")],
        answer="",
        trace="\n".join(lines),
        columns={"tests": tests, "solution": f"def f(x):\n    return {written}"},
    )
