"""Whether two mathematical answers mean the same: math-verify's reading and comparison, kept from its traps.

Runs only inside a process of rewards.pool: sympy can take forever, and importing it takes a second. verifier.py sends it what its own
fast path cannot settle. math-verify's expression reader is left out because it evaluates its input; its LaTeX reader
builds a tree. Library documentation: https://github.com/huggingface/Math-Verify
"""

from fractions import Fraction
from functools import lru_cache
from typing import Any

from latex2sympy2_extended.logic import And
from math_verify import LatexExtractionConfig, parse, verify
from sympy import Eq, Expr, Float, I, Interval, Tuple, floor, log, nan, oo, zoo

from rewards.kinds.math_answer.rounding import DIGITS_OF_IRRATIONAL, rounds_to

_LATEX = [LatexExtractionConfig(boxed_match_priority=0)]
_DECIMALS = 6
_DIGITS = 50  # to which exact numbers are computed before they are compared
_SMALLEST = Float("1e-20")
_NOT_FINITE = (oo, -oo, zoo, nan)


def compare(item: list[str]) -> str:
    """Compares [reference, answer]: equal, different, reference_unparsable or answer_unparsable."""
    reference, answer = item
    gold = read(reference)
    if not gold:
        return "reference_unparsable"
    if answer == reference:
        return "equal"
    target = read(answer)
    if not target:
        return "answer_unparsable"
    if _contradicts_itself(target[0]):
        return "different"
    if "." in answer and _is_irrational(gold[0]) and rounds_to(_exactly(gold[0]), answer, DIGITS_OF_IRRATIONAL):
        return "equal"
    numerically = _same_numbers(*_complex_numbers(gold[0], target[0]))
    if numerically is not None:
        return "equal" if numerically else "different"
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


def _same_numbers(gold: Any, target: Any) -> bool | None:
    """Whether two exact numbers, or tuples and intervals of them, are the same; None where that is not for digits to say.

    math-verify rounds to six decimal places, to which all tiny values are equal.
    """
    kinds = (Tuple, Interval)
    if isinstance(gold, kinds) and type(gold) is type(target) and len(gold.args) == len(target.args):
        found = {_same_numbers(one, other) for one, other in zip(gold.args, target.args, strict=True)}
        return False if False in found else True if found == {True} else None
    if gold == target:
        return True
    if not (isinstance(gold, Expr) and isinstance(target, Expr) and gold.is_number and target.is_number):
        return None
    if gold.has(Float) or target.has(Float):
        return None
    one, other = gold.evalf(_DIGITS), target.evalf(_DIGITS)
    if not (one.is_number and other.is_number) or one.has(*_NOT_FINITE) or other.has(*_NOT_FINITE):
        return None
    apart, size = abs(one - other), max(abs(one), abs(other))
    if not (apart.is_Float or apart.is_zero) or (size < _SMALLEST and 0 in (one, other)):
        return None
    return bool(apart <= size * Float(10) ** (10 - _DIGITS))


def _complex_numbers(gold: Any, target: Any) -> tuple[Any, Any]:
    r"""Two expressions with the letter i as the imaginary unit, where that makes numbers of both: `e^{i\pi}`, `\frac{1}{i}`."""
    if not (isinstance(gold, Expr) and isinstance(target, Expr)):
        return gold, target
    if {sign.name for sign in gold.free_symbols | target.free_symbols} != {"i"}:
        return gold, target
    return gold.xreplace(dict.fromkeys(gold.free_symbols, I)), target.xreplace(dict.fromkeys(target.free_symbols, I))


def _is_irrational(gold: Any) -> bool:
    """Whether a reference is one real number that no fraction is known to be, and is not a decimal fraction itself."""
    if not isinstance(gold, Expr) or not gold.is_number or gold.is_rational or gold.has(Float, *_NOT_FINITE):
        return False
    return bool(gold.is_real) and bool(gold.evalf(_DIGITS).is_Float)


def _exactly(gold: Any) -> Fraction:
    """A real number to all the digits that are computed of it."""
    return Fraction(str(gold.evalf(_DIGITS)))


def _decimals(gold: Any) -> int:
    """Decimal places to compare to: six significant ones for a small number, where six places would be none."""
    if not isinstance(gold, Expr) or not gold.is_number or gold.has(*_NOT_FINITE):
        return _DECIMALS
    value = abs(gold.evalf())
    if not value.is_Float or not 0 < value < Float("0.1"):
        return _DECIMALS
    return _DECIMALS + min(300, -int(floor(log(value, 10))))


# The first reading builds the grammar's tables. Done here, it counts as start-up and not as the first item's time.
compare([r"\frac{1}{2}", "0.5"])


def _warm_up() -> None:
    """Do once what the libraries do at their first use, which is no part of what an answer costs."""
    compare([r"\frac{1}{2}x + y = 1", r"x + 2y = 2"])


_warm_up()
