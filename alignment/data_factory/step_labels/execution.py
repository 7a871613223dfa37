"""Labels by execution: the arithmetic that a step writes down is computed and compared.

For rationales whose steps are equations, such as `14 - 3 = 11` or GSM8K's `<<14-3=11>>`. Expressions are read by a parser of
their own and never run as code. Neighbours: labelling.py (labels by completions, which also serve programs).
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from alignment.data_factory.step_labels.labelling import Labels
from alignment.rollout.environments.arithmetic import ArithmeticRefused, evaluate

_SIDE = r"[-+*/^().,\d\s$%]*\d[-+*/^().,\d\s$%]*"
_EQUATION = re.compile(rf"({_SIDE})(?:=({_SIDE}))+")
_LONGEST = 4000  # characters of a step that are looked at


def holds(step: str) -> bool | None:
    """Whether all equations in a step hold; None for a step without one that can be computed."""
    found = [_agrees(match[0].split("=")) for match in _EQUATION.finditer(step[:_LONGEST]) if _stands_alone(match)]
    known = [one for one in found if one is not None]
    return all(known) if known else None


def execution_labels(steps: Sequence[str], *, right: bool | None) -> Labels:
    """Labels up to the first equation that does not hold; steps without one are as right as those before them.

    right: whether the final answer is. Where it is wrong and every equation holds, the error is one of reading or copying,
    which execution cannot place: no step after the first has a label then, and the row is unknown.
    """
    for place, step in enumerate(steps):
        if holds(step) is False:
            return Labels([*[1.0] * place, 0.0, *[None] * (len(steps) - place - 1)])
    if right:
        return Labels([1.0] * len(steps))
    return Labels([None] * len(steps))


def _stands_alone(match: re.Match[str]) -> bool:
    """Whether an equation is whole, and not the end of `x + 1 = 2` or the beginning of `2 = 2x`."""
    before, after = match.string[: match.start()].rstrip()[-1:], match.string[match.end() :][:1]
    cut_off = match[0].lstrip()[:1] in "+-*/^" and (before.isalpha() or before in ")]}")
    return not cut_off and not (after.isalpha() and not match[0][-1:].isspace())


def _agrees(sides: Sequence[str]) -> bool | None:
    values = [_value(side) for side in sides]
    known = [one for one in values if one is not None]
    return None if len(known) < len(sides) else len(set(known)) == 1


def _value(side: str) -> Fraction | None:
    text = side.replace("$", "").replace(",", "").strip().rstrip(".")
    try:
        return Fraction(evaluate(text))
    except (ArithmeticRefused, ValueError):
        return None
