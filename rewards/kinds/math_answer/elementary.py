r"""Elementary mathematics, read and compared without a computer algebra system: in microseconds where that needs more.

verifier.py asks here before it asks a process of rewards.pool. Covered: fractions, roots, pi, whole powers, polynomials in
single letters, degrees, and tuples, intervals, sets, lists and matrices of these. Whatever could be read in two ways
(`1/2x`, `f(x)`, `x^10`), is close without being equal, or is not covered has no answer here, and goes on to symbolic.py.
Nothing is evaluated as a program; text, depth, sizes and steps are bounded.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

LONGEST = 300  # characters
DEEPEST = 20  # brackets within brackets
MOST_BITS = 1000  # of an exact value, so that it is also a float
LARGEST_POWER = 64
# An irrational value is a float. Within these bounds its error stays far below CLOSE and APART.
SMALLEST_FLOAT, LARGEST_FLOAT = 1e-6, 1e6
CLOSE = 1e-11  # relative: two values nearer than this are equal
APART = 1e-5  # relative and absolute: two values farther apart are different; between the two, somebody else decides
POINTS = 3  # at which expressions with letters are compared
PRIME = 100_003  # letters stand for fractions between 0 and 3

Number = Fraction | float

_TOKEN = re.compile(
    r"\s*(\\(?:frac|sqrt|pi|cdot|times|infty|circ|begin|end)(?![A-Za-z])|\\[{}\\]|\d+(?:\.\d+)?|\.\d+|[A-Za-z]|[-+*/^(),&\[\]{}])"
)
_THOUSANDS = re.compile(r"\d,\d{3}(?!\d)")
_MATRIX = re.compile(r"\\begin\{([bp]matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})$")
_RELATION = re.compile(r"=|<|>|\\(?:cup|cap|in|pm|mp|le|ge|leq|geq)(?![A-Za-z])")
_DRESS = re.compile(r"(?<=\d)_(?:\d|\{\d{1,2}\})$|\s*\\(?:text|mbox|mathrm)\s*\{\s*[a-z]{2,12}\s*\}(?:\^[23])?$")
_ASSIGNED = re.compile(r"(?P<same>(?P<letter>[a-z])\s*(?:=|\\in(?![A-Za-z])))\s*(?P<rest>.+)")
_IN_A_BASE = re.compile(r"(?P<rest>\d+)_\{?(?P<same>\d{1,2})\}?")
_ALL_LETTERS = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_MANY_MEANINGS = frozenset("deDEI")  # Euler's number, derivatives, and what is easily confused with i


class _Unread(Exception):
    """The text is not elementary."""


@dataclass(frozen=True)
class Elementary:
    """What an answer says. `shape`: its brackets and how many entries; `entries`: each entry's value at each point.

    `letters`: of all entries.
    """

    shape: tuple[object, ...]
    entries: tuple[tuple[Number, ...], ...]
    letters: frozenset[str]


def settle(reference: str, answer: str) -> bool | None:
    """Whether two normalised texts mean the same, or None where that is not for this module to say."""
    for form in (_ASSIGNED, _IN_A_BASE):  # y = ..., x \in ..., and digits in a base: compared if they agree on that
        first, second = form.fullmatch(reference), form.fullmatch(answer)
        if first and second and first["same"] == second["same"]:
            one, other = first["rest"], second["rest"]
            return None if form is _ASSIGNED and first["letter"] in one + other else settle(one, other)
    expected = read(reference)
    if expected is None:
        return None
    if answer == reference:
        return True
    given = read(answer)
    if given is None or given.shape != expected.shape or not (_means_one(reference) and _means_one(answer)):
        return None
    own = expected.letters ^ given.letters
    if any(letter.swapcase() in own for letter in own):  # whether K is k depends on who writes
        return None
    letters = bool(expected.letters | given.letters)
    sides = (expected.entries, given.entries)
    if expected.shape[0] in ("list", "{"):  # in any order
        if letters or any(len(set(side)) < len(side) for side in sides):
            return None
        sides = (tuple(sorted(sides[0])), tuple(sorted(sides[1])))
    found = {_same(one, other, letters) for one, other in zip(*sides, strict=True)}
    if False in found:
        return None if reference.isalpha() or answer.isalpha() else False
    return True if found == {True} else None


def _means_one(text: str) -> bool:
    """Whether the letters of a text mean one thing. The imaginary unit does where it stands once, as in a + bi."""
    found = _ALL_LETTERS.findall(text)
    imaginary = found.count("i") == 0 or (found.count("i") == 1 and not re.search(r"[/^]|frac", text))
    return imaginary and not _MANY_MEANINGS & set(found)


def is_readable(text: str) -> bool:
    """Whether a normalised text surely says something, if not something that can be compared here.

    Beside what `read` reads: equations, unions and the like of it, a number in a base, and a unit in words.
    """
    if len(text) > LONGEST:
        return False
    pieces = _RELATION.split(_DRESS.sub("", text.rstrip()))
    return all(read(piece.strip()) is not None for piece in pieces)


def _same(expected: tuple[Number, ...], given: tuple[Number, ...], letters: bool) -> bool | None:
    """One entry's values at all points against another's; None where they are close without being equal."""
    verdicts: set[bool | None] = set()
    for one, other in zip(expected, given, strict=True):
        exact = isinstance(one, Fraction) and isinstance(other, Fraction)
        if one == other and (exact or math.isinf(one)):
            verdicts.add(True)
        elif math.isinf(one) or math.isinf(other):
            verdicts.add(False)
        else:
            apart, size = abs(float(one - other)), max(abs(float(one)), abs(float(other)))
            if apart > APART and apart > APART * size:
                verdicts.add(False)
            else:  # equal floats prove nothing of expressions with letters
                verdicts.add(True if not exact and not letters and apart <= CLOSE * size else None)
    return False if False in verdicts else True if verdicts == {True} else None


@lru_cache(maxsize=4096)
def read(text: str) -> Elementary | None:
    """What a normalised text says, or None where it is not elementary."""
    if len(text) > LONGEST or _THOUSANDS.search(text):
        return None
    letters: set[str] = set()
    try:
        shape, texts = _parts(text.strip())
        entries = tuple(_values(_tokens(part), letters) for part in texts)
    except (_Unread, ZeroDivisionError, OverflowError):
        return None
    return Elementary(shape, entries, frozenset(letters))


def _values(tokens: list[str], letters: set[str]) -> tuple[Number, ...]:
    """An expression's value at each point; the letters in it are added to `letters`."""
    own: set[str] = set()
    first = _Expression(tokens, 0, own).whole()
    if not own:
        return (first,) * POINTS
    letters |= own
    return (first, *(_Expression(tokens, point, own).whole() for point in range(1, POINTS)))


def _parts(text: str) -> tuple[tuple[object, ...], list[str]]:
    """The shape of a text and its entries."""
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [row.split("&") for row in re.split(r"\\\\", matrix[2].strip().removesuffix(r"\\"))]
        if len({len(row) for row in rows}) != 1:
            raise _Unread
        return ("matrix", len(rows), len(rows[0])), [entry for row in rows for entry in row]
    for opening, closing in (("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"), (r"\{", r"\}")):
        if text.startswith(opening) and text.endswith(closing):
            entries = _split(text[len(opening) : -len(closing)])
            if entries is not None and (len(entries) > 1 or opening == r"\{"):
                return (opening.strip("\\"), closing, len(entries)), entries
    entries = _split(_DEGREES.sub("", text))
    if entries is None:
        raise _Unread
    return ("list" if len(entries) > 1 else "one", len(entries)), entries


def _split(text: str) -> list[str] | None:
    """The pieces between commas outside brackets; None where brackets do not match."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return None
        if character == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return pieces if depth == 0 else None


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _Unread
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

    def whole(self) -> Number:
        """The value of all tokens."""
        infinite = {"\\infty": 1, "+\\infty": 1, "-\\infty": -1}.get("".join(self.tokens))
        if infinite is not None:
            return infinite * math.inf
        value = self._sum()
        if self.position < len(self.tokens):
            raise _Unread
        return value

    def _next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _take(self, *wanted: str) -> str:
        piece = self._next()
        if not piece or (wanted and piece not in wanted):
            raise _Unread
        self.position += 1
        return piece

    def _sum(self) -> Number:
        self.depth += 1
        if self.depth > DEEPEST:
            raise _Unread
        sign = self._take() if self._next() in ("-", "+") else "+"
        total = self._product() if sign == "+" else -self._product()
        while self._next() in ("-", "+"):
            minus = self._take() == "-"
            term = self._product()
            total = _bounded(total - term if minus else total + term)
        self.depth -= 1
        return total

    def _product(self) -> Number:
        value = self._power()
        while True:
            piece = self._next()
            if piece in ("*", "\\cdot", "\\times"):
                self._take()
                value = _bounded(value * self._power())
            elif piece == "/":
                self._take()
                value = _bounded(value / self._power())
                if self._starts_a_factor():  # 1/2x
                    raise _Unread
            elif self._starts_a_factor():
                before = self.tokens[self.position - 1]
                letters = before.isalpha() and (piece.isalpha() or piece == "(")  # ab, f(x)
                if piece[0].isdigit() or piece[0] == "." or letters or (before[0].isdigit() and piece == "\\frac"):
                    raise _Unread
                value = _bounded(value * self._power())
            else:
                return value

    def _starts_a_factor(self) -> bool:
        piece = self._next()
        return piece in ("\\frac", "\\sqrt", "\\pi", "(") or piece.isalpha() or piece[:1].isdigit() or piece[:1] == "."

    def _power(self) -> Number:
        value = self._atom()
        if self._next() != "^":
            return value
        self._take()
        exponent = self._argument()
        if self._next() == "^" or not isinstance(exponent, Fraction) or exponent.denominator != 1:
            raise _Unread
        if abs(exponent) > LARGEST_POWER or _bits(value) * abs(exponent) > MOST_BITS:
            raise _Unread
        return _bounded(value ** int(exponent))

    def _argument(self) -> Number:
        """What stands in braces, or one character: `x^10` is not `x^{10}` to everyone."""
        if self._next() == "{":
            self._take()
            value = self._sum()
            self._take("}")
            return value
        if self._next() == "\\pi" or (len(self._next()) == 1 and self._next().isalnum()):
            return self._atom()
        raise _Unread

    def _atom(self) -> Number:
        piece = self._take()
        if piece[0].isdigit() or piece[0] == ".":
            return Fraction(piece)
        if piece == "\\pi":
            return math.pi
        if piece == "\\frac":
            return self._fraction()
        if piece == "\\sqrt":
            return _root(self._argument())
        if piece == "(":
            value = self._sum()
            self._take(")")
            return value
        if piece.isalpha():
            self.letters.add(piece)
            # Scattered, so that no simple relation holds between letters by chance.
            return Fraction(pow(1009 * ord(piece) + self.point + 2, 7, PRIME) + 1, PRIME // 3)
        raise _Unread

    def _fraction(self) -> Number:
        """Both arguments of a fraction; `43` after it is 4 and 3."""
        piece = self._next()
        if len(piece) == 2 and piece.isdigit():
            self._take()
            return _bounded(Fraction(int(piece[0]), int(piece[1])))
        above = self._argument()
        below = self._argument()
        return _bounded(above / below)


def _bits(value: Number) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length() if isinstance(value, Fraction) else 1


def _bounded(value: Number) -> Number:
    """A value of which enough digits are right. Raises _Unread for any other."""
    if isinstance(value, Fraction):
        if _bits(value) > MOST_BITS:
            raise _Unread
    elif not SMALLEST_FLOAT <= abs(value) <= LARGEST_FLOAT:
        raise _Unread
    return value


def _root(value: Number) -> Number:
    """The square root: exact where it is a fraction."""
    if value < 0:
        raise _Unread
    if isinstance(value, Fraction):
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above * above == value.numerator and below * below == value.denominator:
            return Fraction(above, below)
    return _bounded(math.sqrt(value))
