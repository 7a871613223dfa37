r"""Decimal fractions that stand for an exact value: how many digits they need, and whether they are rounded rightly.

comparison.py asks here where an answer such as `3.1416` stands beside a reference such as `\pi`, and about what is said
to be about equal; symbolic.py where a reference needs computer algebra. An irrational value has no decimal fraction, so
that one of four digits is the answer in another form; a fraction has a form that is as short, and takes six.
"""

import re
from fractions import Fraction

from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.brackets import top_level

DIGITS_OF_IRRATIONAL, DIGITS_OF_FRACTION = 4, 6  # significant ones that a rounded decimal fraction has to have
MOST_PLACES = 12  # after the point; digits beyond these are compared elsewhere

_DECIMAL = re.compile(r"(-?)(\d{0,30})\.(\d{1,12})( ?(?:\\ldots|\.\.\.))?")
_BRACKETS = (("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"), (r"\{", r"\}"), ("", ""))
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SLACK = Fraction(1, 10**13)  # relative: of a float


def is_rounded(reference: str, answer: str) -> bool:
    """Whether an answer is the reference's value, or its list of values, with some of them as rounded decimal fractions."""
    if "." not in answer or len(reference) > elementary.LONGEST or len(answer) > elementary.LONGEST:
        return False
    for opening, closing in _BRACKETS:
        if not all(text.startswith(opening) and text.endswith(closing) for text in (reference, answer)):
            continue
        end = -len(closing) or None
        wanted, given = (top_level(text[len(opening) : end], ",") for text in (reference, answer))
        if len(wanted) != len(given) or (opening == "" and len(wanted) > 1 and ("(" in reference or "[" in reference)):
            continue
        if opening in ("", r"\{") and len(wanted) > 1:
            wanted, given = _in_order(wanted), _in_order(given)
        if wanted and all(map(_is_one, wanted, given)):
            return True
    return False


def rounds_to(value: Fraction, decimal: str, digits: int) -> bool:
    """Whether a decimal fraction of at least so many significant digits is a value rounded, or its beginning with dots."""
    found = _DECIMAL.fullmatch(decimal)
    if found is None:
        return False
    size = Fraction(int(f"{found[2]}{found[3]}"), 10 ** len(found[3]))
    if len(f"{found[2]}{found[3]}".lstrip("0")) < digits or size.denominator == 1 or (value < 0) != (found[1] == "-"):
        return False
    apart, last = abs(value) - size, Fraction(1, 10 ** len(found[3]))
    slack = _SLACK * size
    return -slack <= apart < last + slack if found[4] else abs(apart) <= last / 2 + slack


def rounds(exact: str, rounded: str) -> bool:
    """Whether a value, rounded to the digits of a number, is that number, however few they are."""
    exact, rounded = _THOUSANDS.sub("", exact), _THOUSANDS.sub("", rounded)
    value, places = elementary.value(exact), len(rounded.partition(".")[2])
    return (
        value is not None
        and re.fullmatch(r"-?\d+(?:\.\d+)?", rounded) is not None
        and f"{float(value):.{places}f}" == rounded
    )


def roughly(exact: str, rounded: str) -> bool:
    """Whether what is said to be about equal is; True where either cannot be read."""
    first, second = elementary.value(exact.rpartition("=")[2].strip()), elementary.value(rounded)
    if first is None or second is None:
        return True
    one, other = float(first), float(second)
    return abs(one - other) * 20 <= max(abs(one), abs(other))


def _is_one(reference: str, answer: str) -> bool:
    """Whether one value is another, or that rounded."""
    if elementary.settle(reference, answer):
        return True
    value = elementary.value(reference)
    if value is None or value in (float("inf"), -float("inf")):
        return False
    digits = DIGITS_OF_FRACTION if isinstance(value, Fraction) else DIGITS_OF_IRRATIONAL
    return rounds_to(Fraction(value), answer, digits)


def _in_order(values: list[str]) -> list[str]:
    """Values that can be read from the smallest, for lists whose order says nothing; others as they are."""
    read = [elementary.value(text.rstrip(". ").removesuffix(r"\ldots")) for text in values]
    pairs = [(float(value), text) for value, text in zip(read, values, strict=True) if value is not None]
    return [text for _, text in sorted(pairs)] if len(pairs) == len(values) else values
