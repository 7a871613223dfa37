"""Whether two mathematical answers mean the same: math-verify's reading and comparison, kept from its traps.

Runs only inside a process of rewards.pool: sympy can take forever, and importing it takes a second. verifier.py sends it what its own
fast path cannot settle. math-verify's expression reader is left out because it evaluates its input; its LaTeX reader
builds a tree. Library documentation: https://github.com/huggingface/Math-Verify
"""

from functools import lru_cache
from typing import Any

from latex2sympy2_extended.logic import And
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Eq, Float, Rational

_LATEX = [LatexExtractionConfig(boxed_match_priority=0)]
_DECIMALS = 6


def compare(item: list[str | None]) -> str:
    """Compares [reference, answer]: equal, different, reference_unparsable or answer_unparsable.

    With None for the answer, says only whether the reference is readable or reference_unparsable.
    """
    reference, answer = item
    gold = read(reference or "")
    if not gold:
        return "reference_unparsable"
    if answer is None:
        return "readable"
    if answer == reference:
        return "equal"
    target = read(answer)
    if not target:
        return "answer_unparsable"
    if _contradicts_itself(target[0]):
        return "different"
    # The gold comes first: verify unwraps an assignment in the answer, and respects the reference's form.
    decimals = _decimals(gold[0])
    same = verify(gold[0], target[0], float_rounding=decimals, allow_set_relation_comp=True, timeout_seconds=None)
    return "equal" if same else "different"


@lru_cache(maxsize=256)
def read(text: str) -> tuple[Any, ...]:
    """The sympy expression that LaTeX text stands for, in a tuple; empty when it cannot be read."""
    boxed = f"\\boxed{{{text}}}"
    # first_match: without it an unreadable answer falls back to any number that stands in it.
    found = parse(
        boxed,
        extraction_config=_LATEX,
        fallback_mode="no_fallback",
        extraction_mode="first_match",
        parsing_timeout=None,
    )
    return tuple(found)


def _contradicts_itself(target: Any) -> bool:
    """A chain such as `1 = 2 = 3`, which would otherwise be read as its last member."""
    equations = target._unsorted_args if isinstance(target, And) else (target,)  # noqa: SLF001  args would be sorted
    return any(
        isinstance(equation, Eq)
        and not equation.free_symbols
        and not verify(equation.lhs, equation.rhs, timeout_seconds=None)
        for equation in equations
    )


def _decimals(gold: Any) -> int:
    """Decimal places to compare to: six significant ones for a small number, where six places would be none."""
    if not isinstance(gold, (Float, Rational)) or not 0 < abs(gold) < Rational(1, 10):
        return _DECIMALS
    places, value = 0, abs(float(gold))
    while 0 < value < 1 and places < 300:
        value, places = value * 10, places + 1
    return _DECIMALS + places


# The first reading builds the grammar's tables. Done here, it counts as start-up and not as the first item's time.
compare([r"\frac{1}{2}", "0.5"])
