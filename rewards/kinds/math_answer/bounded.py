"""Arithmetic whose size and error are bounded: roots, factorials and choices of fractions and floats.

Values are fractions, and floats only where they have to be, within bounds that keep enough digits right. expressions.py
computes with them. Raises Unread for a value that is not covered, Oversized for one beyond what any answer may be.
"""

import math
from fractions import Fraction

MOST_BITS = 20_000  # of an exact value
LARGEST_FACTORIAL = 2_000
LARGEST_OF_A_CHOICE = 4_000  # n of n over k
# An irrational value is a float. Within these bounds its error stays far below CLOSE and APART.
SMALLEST_FLOAT, LARGEST_FLOAT = 1e-6, 1e6
Number = Fraction | float


class Unread(Exception):
    """The text is not elementary."""


class Oversized(Exception):
    """The text is elementary, and its value takes more than MOST_BITS."""


def bits(value: Number) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length() if isinstance(value, Fraction) else 1


def bounded(value: Number) -> Number:
    """A value of which enough digits are right. Raises Unread for any other, and Oversized."""
    if isinstance(value, Fraction):
        if bits(value) > MOST_BITS:
            raise Oversized
    elif not SMALLEST_FLOAT <= abs(value) <= LARGEST_FLOAT:
        raise Unread
    return value


def root(value: Number, degree: int = 2) -> Number:
    """The real root: exact where it is a fraction."""
    if value < 0:
        if degree % 2 == 0:
            raise Unread
        return -root(-value, degree)
    if isinstance(value, Fraction):
        above, below = _whole_root(value.numerator, degree), _whole_root(value.denominator, degree)
        if above**degree == value.numerator and below**degree == value.denominator:
            return Fraction(above, below)
    return bounded(math.sqrt(value) if degree == 2 else float(value) ** (1 / degree))


def _whole_root(value: int, degree: int) -> int:
    """The largest whole number whose power is at most `value`, by Newton's steps from above."""
    if degree == 2 or value < 2:
        return math.isqrt(value) if degree == 2 else value
    guess = 1 << -(-value.bit_length() // degree)
    while (better := ((degree - 1) * guess + value // guess ** (degree - 1)) // degree) < guess:
        guess = better
    return guess


def factorial(value: Number, step: int) -> Fraction:
    """`n!`, or `n!!` with a step of 2."""
    if not isinstance(value, Fraction) or value.denominator != 1 or value < 0:
        raise Unread
    if value > LARGEST_FACTORIAL:
        raise Oversized
    return Fraction(math.prod(range(int(value), 0, -step)))


def choices(of: Number, taken: Number) -> Fraction:
    if not isinstance(of, Fraction) or not isinstance(taken, Fraction) or of.denominator * taken.denominator != 1:
        raise Unread
    if of > LARGEST_OF_A_CHOICE:
        raise Oversized
    if of < 0 or taken < 0:
        raise Unread
    return Fraction(math.comb(int(of), int(taken)))
