"""Evaluates arithmetic expressions exactly, with a recursive-descent parser; nothing is run as code.

    sum = product (("+" | "-") product)*       product = sign (("*" | "/" | "//" | "%") sign)*
    sign = ("-" | "+") sign | power            power = atom ("**" | "^") sign | atom
    atom = number | "(" sum ")"

Length, depth and the size of every value are bounded, so that no expression takes long.
Neighbour: executors.py (the tool `calculator`).
"""

import re
from fractions import Fraction

MAX_LENGTH, MAX_DEPTH = 200, 20  # characters; nested brackets, signs and powers
MAX_DIGITS = 60  # of a value
MAX_EXPONENT = 64
DECIMALS = 10  # significant digits of a result that is not a whole number
_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\*\*|//|[-+*/%^()])")


class ArithmeticRefused(ValueError):
    """An expression without a result: malformed, undefined, or too large."""


def evaluate(expression: str) -> str:
    """The value of an expression as text: exact for whole numbers, else DECIMALS significant digits.

    Raises ArithmeticRefused.
    """
    if len(expression) > MAX_LENGTH:
        raise ArithmeticRefused(f"the expression has more than {MAX_LENGTH} characters")
    reader = _Reader(_tokens(expression))
    value = reader.sum(0)
    if reader.left:
        raise ArithmeticRefused(f"unexpected {reader.left[0]!r}")
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.{DECIMALS}g}"


def _tokens(expression: str) -> list[str]:
    tokens, place, text = [], 0, expression.rstrip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ArithmeticRefused(f"unexpected {text[place:].lstrip()[:1]!r}")
        tokens.append(found[1])
        place = found.end()
    return tokens


class _Reader:
    """Reads tokens from the left; each method takes what it can and returns its value."""

    def __init__(self, tokens: list[str]) -> None:
        self.left = tokens

    def _take(self, *wanted: str) -> str | None:
        return self.left.pop(0) if self.left and self.left[0] in wanted else None

    def sum(self, depth: int) -> Fraction:
        """Terms that are added and subtracted."""
        value = self._product(depth)
        while sign := self._take("+", "-"):
            other = self._product(depth)
            value = _bounded(value + other if sign == "+" else value - other)
        return value

    def _product(self, depth: int) -> Fraction:
        value = self._signed(depth)
        while sign := self._take("*", "/", "//", "%"):
            other = self._signed(depth)
            if sign == "*":
                value = _bounded(value * other)
            elif other == 0:
                raise ArithmeticRefused("division by zero")
            else:
                value = _bounded({"/": value / other, "//": Fraction(value // other), "%": value % other}[sign])
        return value

    def _signed(self, depth: int) -> Fraction:
        if depth > MAX_DEPTH:
            raise ArithmeticRefused("too deeply nested")
        sign = self._take("-", "+")
        if sign is None:
            return self._power(depth)
        value = self._signed(depth + 1)
        return -value if sign == "-" else value

    def _power(self, depth: int) -> Fraction:
        base = self._atom(depth)
        if self._take("**", "^") is None:
            return base
        exponent = self._signed(depth + 1)
        if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
            raise ArithmeticRefused(f"an exponent has to be a whole number of at most {MAX_EXPONENT}")
        if base == 0 and exponent < 0:
            raise ArithmeticRefused("division by zero")
        return _bounded(Fraction(base ** int(exponent)))

    def _atom(self, depth: int) -> Fraction:
        if self._take("("):
            value = self.sum(depth + 1)
            if self._take(")") is None:
                raise ArithmeticRefused("a bracket is not closed")
            return value
        if not self.left or not self.left[0][0].isdigit():
            raise ArithmeticRefused(
                f"a number is missing before {self.left[0]!r}" if self.left else "a number is missing"
            )
        return _bounded(Fraction(self.left.pop(0)))


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator) >= 10**MAX_DIGITS:
        raise ArithmeticRefused(f"a value has more than {MAX_DIGITS} digits")
    return value
