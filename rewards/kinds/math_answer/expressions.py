r"""The exact value of an expression, read from left to right: what elementary.py compares.

Numbers are fractions, and floats only where they have to be (roots, pi, functions), within bounds that keep enough digits
right. Letters stand for scattered fractions of both signs. Everything is bounded: brackets, bits, powers, factorials.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from rewards.kinds.math_answer.bounded import (
    MOST_BITS,
    Number,
    Oversized,
    Unread,
    bits,
    bounded,
    choices,
    factorial,
    root,
)

DEEPEST = 20  # brackets within brackets
LARGEST_POWER = 10_000
LOST = 1e-8  # a term so much smaller than the rest would not be seen in a float
LARGEST_ROOT = 12  # of which a power is taken
POINTS = 4  # at which expressions with letters are compared
PRIME = 100_003  # letters stand for fractions between -3 and 3
_TOKEN = re.compile(
    r"\s*(\\(?:frac|sqrt|pi|cdot|times|infty|circ|begin|end|binom|theta|alpha|beta|phi|omega|lambda|mu|sin|cos|tan|cot|sec|csc|arctan|ln|exp|log)(?![A-Za-z])|\\[{}\\]|(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,4}(?![\w.]))?"
    r"|[A-Za-z]|[-+*/^(),&\[\]{}!])"
)
_FACTORS = frozenset(("\\frac", "\\sqrt", "\\pi", "\\binom", "("))
_GREEK = frozenset(("\\theta", "\\alpha", "\\beta", "\\phi", "\\omega", "\\lambda", "\\mu"))
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "\\sin": math.sin, "\\cos": math.cos, "\\tan": math.tan, "\\arctan": math.atan, "\\ln": math.log, "\\exp": math.exp,
    "\\cot": lambda value: 1 / math.tan(value), "\\sec": lambda value: 1 / math.cos(value),
    "\\csc": lambda value: 1 / math.sin(value),
}  # fmt: skip
LARGEST_ARGUMENT, LARGEST_FUNCTION_POWER = 1000, 8  # of a function; within, enough digits of its value are right


def values_of(tokens: list[str], letters: set[str]) -> tuple[Number, ...]:
    """An expression's value at each point; the letters in it are added to `letters`."""
    own: set[str] = set()
    first = _Expression(tokens, 0, own).whole()
    if not own:
        return (first,) * POINTS
    letters |= own
    return (first, *(_Expression(tokens, point, own).whole() for point in range(1, POINTS)))


def tokens_of(text: str) -> list[str]:
    """The tokens of an expression. Raises Unread at a character that is not part of one."""
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise Unread
        found.append(match[1])
        position = match.end()
    return found


@dataclass
class _Expression:
    """One expression's value at one point, read from left to right."""

    tokens: list[str]
    point: int
    letters: set[str]
    position: int = 0
    depth: int = 0
    in_function: bool = False

    def whole(self) -> Number:
        """The value of all tokens."""
        infinite = {"\\infty": 1, "+\\infty": 1, "-\\infty": -1}.get("".join(self.tokens))
        if infinite is not None:
            return infinite * math.inf
        value = self._sum()
        if self.position < len(self.tokens):
            raise Unread
        return value

    def _next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _take(self, *wanted: str) -> str:
        piece = self._next()
        if not piece or (wanted and piece not in wanted):
            raise Unread
        self.position += 1
        return piece

    def _sum(self) -> Number:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unread
        sign = self._take() if self._next() in ("-", "+") else "+"
        total = self._product() if sign == "+" else -self._product()
        while self._next() in ("-", "+"):
            minus = self._take() == "-"
            term = self._product()
            if isinstance(total, float) != isinstance(term, float):
                small, large = sorted((abs(float(total)), abs(float(term))))
                if small < LOST * large:
                    raise Unread  # a term that the digits of a float cannot show
            total = bounded(total - term if minus else total + term)
        self.depth -= 1
        return total

    def _product(self) -> Number:
        value = self._power()
        while True:
            piece = self._next()
            if piece in ("*", "\\cdot", "\\times"):
                self._take()
                value = bounded(value * self._power())
            elif piece == "/":
                self._take()
                value = bounded(value / self._power())
                if self._starts_a_factor():  # 1/2x
                    raise Unread
            elif self._starts_a_factor():
                before = self.tokens[self.position - 1]
                letters = before.isalpha() and (piece.isalpha() or piece == "(")  # ab, f(x)
                if before[0].isdigit() and piece == "\\frac":
                    value = bounded(value + self._part_of_one(value))
                    continue
                if piece[0].isdigit() or piece[0] == "." or letters:
                    raise Unread
                value = bounded(value * self._power())
            else:
                return value

    def _starts_a_factor(self) -> bool:
        piece = self._next()
        return (
            piece in ("\\frac", "\\sqrt", "\\pi", "\\binom", "(")
            or piece.isalpha()
            or piece[:1].isdigit()
            or piece[:1] == "."
        )

    def _part_of_one(self, whole: Number) -> Number:
        """The fraction of a mixed number, such as `3\\frac{1}{2}`; anything else after a number may mean a product."""
        before = self.tokens[: self.position]
        plain = isinstance(whole, Fraction) and whole.denominator == 1 and before[-1].isdigit()
        alone = len(before) == 1 or before[-2] in ("-", "+", "(", "{")
        part = self._atom()
        if not (plain and alone and isinstance(part, Fraction) and 0 < part < 1) or self._next() == "^":
            raise Unread
        return part

    def _power(self) -> Number:
        value = self._atom()
        while self._next() == "!":
            self._take()
            double = self._next() == "!"
            if double:
                self._take()
            value = factorial(value, 2 if double else 1)
        if self._next() != "^":
            return value
        self._take()
        if self._is_degrees():
            return value * math.pi / 180
        exponent = self._atom() if self._next() == "(" else self._argument()
        if self._next() == "^" or not isinstance(exponent, Fraction) or exponent.denominator > LARGEST_ROOT:
            raise Unread
        if exponent.denominator != 1:  # of a negative number the real root, where there is one
            value, exponent = root(value, exponent.denominator), Fraction(exponent.numerator)
        if isinstance(value, Fraction) and abs(value) != 1 and value and abs(exponent) * bits(value) > 4 * MOST_BITS:
            raise Oversized
        if abs(exponent) > LARGEST_POWER or bits(value) * abs(exponent) > 2 * MOST_BITS:
            raise Unread
        if isinstance(value, float) and abs(exponent) > 64:
            raise Unread
        return bounded(value ** int(exponent))

    def _is_degrees(self) -> bool:
        """Whether the sign of degrees follows, which is read in the argument of a function."""
        ahead = self.tokens[self.position : self.position + 3]
        taken = 1 if ahead[:1] == ["\\circ"] else 3 if ahead == ["{", "\\circ", "}"] else 0
        if taken and not self.in_function:
            raise Unread
        self.position += taken
        return taken > 0

    def _argument(self) -> Number:
        """What stands in braces, or one character: `x^10` is not `x^{10}` to everyone."""
        if self._next() == "{":
            self._take()
            value = self._sum()
            self._take("}")
            return value
        if self._next() == "\\pi" or (len(self._next()) == 1 and self._next().isalnum()):
            return self._atom()
        raise Unread

    def _atom(self) -> Number:
        piece = self._take()
        if piece[0].isdigit() or piece[0] == ".":
            if "e" in piece.lower() and abs(int(re.split("[eE]", piece)[1])) > MOST_BITS // 4:
                raise Oversized
            return Fraction(piece)
        if piece == "\\pi":
            return math.pi
        if piece == "\\frac":
            return self._fraction()
        if piece == "\\sqrt":
            return self._rooted()
        if piece == "\\binom":
            return choices(self._argument(), self._argument())
        if piece in ("(", "{"):
            value = self._sum()
            self._take(")" if piece == "(" else "}")
            return value
        if piece in _FUNCTIONS:
            return self._applied(_FUNCTIONS[piece])
        if piece.isalpha() or piece in _GREEK:
            self.letters.add(piece)
            # Scattered, so that no simple relation holds between letters by chance, and of both signs.
            scattered = pow(1009 * sum(map(ord, piece)) + self.point + 2, 7, PRIME) + 1
            negative = self.point == 1 or (self.point > 1 and scattered % 2)
            return Fraction(-scattered if negative else scattered, PRIME // 3)
        raise Unread

    def _applied(self, function: Callable[[float], float]) -> Number:
        """A function of what stands in brackets, or of a letter or number alone; a power may stand before them."""
        power = Fraction(1)
        if self._next() == "^":
            self._take()
            found = self._argument()
            if not isinstance(found, Fraction) or found.denominator != 1 or not 0 < found <= LARGEST_FUNCTION_POWER:
                raise Unread  # a power of -1 may mean the inverse
            power = found
        if self._next() not in ("(", "{"):
            raise Unread
        closing = ")" if self._take() == "(" else "}"
        outer, self.in_function = self.in_function, True
        value = self._sum()
        self.in_function = outer
        self._take(closing)
        if self._next() == "^" or not -LARGEST_ARGUMENT <= value <= LARGEST_ARGUMENT:
            raise Unread
        try:
            return bounded(function(float(value)) ** int(power))
        except ValueError as error:  # a logarithm of what is not positive
            raise Unread from error

    def _rooted(self) -> Number:
        """A root; of an odd degree, also of what is negative."""
        if self._next() != "[":
            return root(self._argument())
        self._take()
        degree = self._take()
        self._take("]")
        if not degree.isdigit() or not 2 <= int(degree) <= 100:
            raise Unread
        return root(self._argument(), int(degree))

    def _fraction(self) -> Number:
        """Both arguments of a fraction; `43` after it is 4 and 3."""
        piece = self._next()
        if len(piece) == 2 and piece.isdigit():
            self._take()
            return bounded(Fraction(int(piece[0]), int(piece[1])))
        above = self._argument()
        below = self._argument()
        return bounded(above / below)
