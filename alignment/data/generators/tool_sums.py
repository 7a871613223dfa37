"""Sums too large for the head, to be done with a calculator: one call for each step, each with the result before it.

`tool_call` reads the columns `tools` and `calls`, `math_answer` the answer; the demonstration is the whole exchange with
the tool's results. Neighbours: families.py (draws distinct ones), rollout/environments/tools.py (executes the calls).
"""

import random
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Message, Problem, ToolSchema, user_turn

TOOL_SUM_PARAMETERS = ("min_steps", "max_steps", "min_digits", "max_digits", "direct")
SYSTEM = "One call a step."
# Short, because a small model reads it in every prompt; the environment holds calls against its own, fuller schema.
CALCULATOR: ToolSchema = {"name": "calculator", "parameters": {"properties": {"expression": {"type": "string"}}}}
_MAX_STEPS, _MAX_DIGITS = 4, 6
_DEFAULTS = {"min_steps": 1, "max_steps": 2, "min_digits": 2, "max_digits": 3}

Step = tuple[str, int]  # an operation and its operand


def tool_sum_draws(seed: int, parameters: dict[str, Any]) -> Iterator[Problem]:
    """Problems of the family, the same ones for the same seed; they may repeat.

    Parameters: `min_steps` and `max_steps` (1 to 4), `min_digits` and `max_digits` of the operands (1 to 6), and
    `direct`: whether the demonstration answers at once, without a call. Raises DataError for others.
    """
    asked = {**_DEFAULTS, **parameters}
    direct = asked.pop("direct", False)
    steps, digits = (asked["min_steps"], asked["max_steps"]), (asked["min_digits"], asked["max_digits"])
    bounded = all(isinstance(one, int) for one in asked.values()) and 1 <= steps[0] <= steps[1] <= _MAX_STEPS
    if (
        set(asked) - set(TOOL_SUM_PARAMETERS)
        or not isinstance(direct, bool)
        or not bounded
        or not 1 <= digits[0] <= digits[1] <= _MAX_DIGITS
    ):
        raise DataError(
            f"`tool_sums` takes `min_steps` and `max_steps` from 1 to {_MAX_STEPS}, `min_digits` and `max_digits` from "
            f"1 to {_MAX_DIGITS}, and `direct` as true or false, but found {parameters}"
        )
    draw = random.Random(seed)

    def number() -> int:
        length = draw.randint(*digits)
        return draw.randint(10 ** (length - 1), 10**length - 1)

    while True:
        first = number()
        # A product comes first or not at all, so that the steps from left to right are what the expression means.
        signs = [draw.choice("+-*"), *(draw.choice("+-") for _ in range(draw.randint(*steps) - 1))]
        yield _problem(first, [(sign, number()) for sign in signs], direct)


def _problem(first: int, steps: list[Step], direct: bool) -> Problem:
    results = list(accumulate(steps, _done, initial=first))
    expressions = [f"{before} {sign} {operand}" for before, (sign, operand) in zip(results, steps, strict=False)]
    turns: list[Message] = []
    for expression, result in [] if direct else zip(expressions, results[1:], strict=True):
        turns += [calculator_call(expression), {"role": "tool", "content": str(result)}]
    last = "In my head." if direct else "Done."
    turns.append({"role": "assistant", "reasoning_content": last, "content": f"\\boxed{{{results[-1]}}}"})
    asked = " ".join([str(first), *(f"{sign} {operand}" for sign, operand in steps)])
    return Problem(
        id="",
        messages=[{"role": "system", "content": SYSTEM}, user_turn(f"{asked} =")],
        answer=str(results[-1]),
        columns={"calls": [_reference(one) for one in expressions]},
        tools=[CALCULATOR],
        demonstration=turns,
    )


def _done(value: int, step: Step) -> int:
    sign, operand = step
    return {"+": value + operand, "-": value - operand, "*": value * operand}[sign]


def calculator_call(expression: str) -> Message:
    """An assistant's turn that calls the calculator."""
    function = {"name": "calculator", "arguments": {"expression": expression}}
    return {
        "role": "assistant",
        "reasoning_content": expression,
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }


def _reference(expression: str) -> dict[str, Any]:
    """A call in the Berkeley leaderboard's form: with blanks around the operation, or without."""
    return {"calculator": {"expression": [expression, expression.replace(" ", "")]}}
