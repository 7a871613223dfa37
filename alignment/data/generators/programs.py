"""Programming problems: write a function that does some steps of arithmetic; calls with expected results judge it.

The verifier `python_tests` reads the column `tests`; `solution` is a program that passes. The question lists the steps
in words and in order, so a correct program needs brackets. Neighbours: families.py (draws distinct ones), data/rows.py
(Problem).
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Problem, user_turn

PROGRAM_PARAMETERS = ("min_steps", "max_steps")
_MAX_STEPS, _MAX_OPERAND = 6, 9
_INPUTS = (0, 1, -1, 4, 10, -7)


@dataclass(frozen=True)
class Step:
    """One step of arithmetic: `add 3`."""

    word: str
    sign: str
    operand: int

    def __str__(self) -> str:
        return f"{self.word} {self.operand}"

    def written(self, before: str) -> str:
        """The Python expression after this step; a product puts earlier sums in brackets."""
        bracketed = self.sign == "*" and ("+" in before or "-" in before)
        return f"({before}) * {self.operand}" if bracketed else f"{before} {self.sign} {self.operand}"

    def done(self, value: int) -> int:
        """Apply the step to a number."""
        return {"+": value + self.operand, "-": value - self.operand, "*": value * self.operand}[self.sign]


_KINDS = (("add", "+", 1), ("subtract", "-", 1), ("multiply by", "*", 2))


def program_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family `programs`, the same for the same seed; they may repeat.

    Args:
        seed: of the random draws.
        parameters: `min_steps` (1 if missing) and `max_steps` (3), from 1 to 6. Raises DataError for anything else.
    """
    fewest, most = parameters.get("min_steps", 1), parameters.get("max_steps", 3)
    counts = isinstance(fewest, int) and isinstance(most, int) and 1 <= fewest <= most <= _MAX_STEPS
    if set(parameters) - set(PROGRAM_PARAMETERS) or not counts:
        raise DataError(
            f"the family `programs` has no parameters {parameters}; write `min_steps` and `max_steps`, from 1 to {_MAX_STEPS}"
        )
    draw = random.Random(seed)
    while True:
        kinds = [draw.choice(_KINDS) for _ in range(draw.randint(fewest, most))]
        yield _problem([Step(word, sign, draw.randint(smallest, _MAX_OPERAND)) for word, sign, smallest in kinds])


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
