r"""Elementary mathematics, read and compared without a computer algebra system: in microseconds where that needs more.

verifier.py asks here before it asks a process of rewards.pool. Covered: fractions, roots, pi, whole powers, factorials,
binomials, polynomials in single letters, degrees, and tuples, intervals, unions, sets, lists and matrices of these.
Whatever could be read in two ways (`1/2x`, `f(x)`, `x^10`), is close to an approximation without being equal to it, or is
not covered has no answer here, and goes on to symbolic.py. Nothing is evaluated as a program; text, depth, sizes and steps
are bounded, and an answer beyond what any value may take is TOO_LARGE, which equals nothing that was read.
"""

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rewards.kinds.math_answer.bounded import Number, Oversized, Unread
from rewards.kinds.math_answer.expressions import tokens_of, values_of

LONGEST = 300  # characters
CLOSE = 1e-11  # relative: two values nearer than this are equal
APART = 1e-5  # relative and absolute: two values farther apart are different; between the two, somebody else decides

_THOUSANDS = re.compile(r"\d,\d{3}(?!\d)")
_MATRIX = re.compile(r"\\begin\{([bp]matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_DEGREES = re.compile(r"\^\s*(?:\\circ|\{\s*\\circ\s*\})$")
_RELATION = re.compile(r"=|<|>|\\(?:cup|cap|in|pm|mp|le|ge|leq|geq)(?![A-Za-z])")
_DRESS = re.compile(r"(?<=\d)_(?:\d|\{\d{1,2}\})$|\s*\\(?:text|mbox|mathrm)\s*\{\s*[a-z]{2,12}\s*\}(?:\^[23])?$")
_ASSIGNED = re.compile(r"(?P<same>(?P<letter>[a-z])\s*(?:=|\\in(?![A-Za-z])))\s*(?P<rest>.+)")
_IN_A_BASE = re.compile(r"(?P<rest>\d+)_\{?(?P<same>\d{1,2})\}?")
_ALL_LETTERS = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])")
_SCIENTIFIC = re.compile(r"(?<=\d)[eE](?=[-+]?\d)")
_MANY_MEANINGS = frozenset("deDEI")  # Euler's number, derivatives, and what is easily confused with i


@dataclass(frozen=True)
class TooLarge:
    """What is read of a text whose value is too large to be computed."""


TOO_LARGE = TooLarge()


@dataclass(frozen=True)
class Elementary:
    """What an answer says. `shape`: its brackets and how many entries; `entries`: each entry's value at each point.

    `letters`: of all entries. `approximate`: a number in it is written as a decimal fraction, and may be rounded.
    """

    shape: tuple[object, ...]
    entries: tuple[tuple[Number, ...], ...]
    letters: frozenset[str]
    approximate: bool = False


def settle(reference: str, answer: str) -> bool | None:
    """Whether two normalised texts mean the same, or None where that is not for this module to say."""
    for form in (_ASSIGNED, _IN_A_BASE):  # y = ..., x \in ..., and digits in a base: compared if they agree on that
        first, second = form.fullmatch(reference), form.fullmatch(answer)
        if first and second and first["same"] == second["same"]:
            one, other = first["rest"], second["rest"]
            return None if form is _ASSIGNED and first["letter"] in one + other else settle(one, other)
    if "\\cup" in reference and "\\cup" in answer:
        return _settle_union(reference, answer)
    expected = read(reference)
    if expected is None:
        return None
    if answer == reference:
        return True
    given = read(answer)
    if isinstance(expected, TooLarge) or isinstance(given, TooLarge):
        return False if isinstance(expected, Elementary) else None
    if given is None:
        return None
    if given.shape[0] != expected.shape[0]:
        return False if _never_same(expected, given) or _never_same(given, expected) else None
    if not (_means_one(reference) and _means_one(answer)):
        return None
    if expected.shape[0] != "{" and given.shape != expected.shape:
        return None
    own = expected.letters ^ given.letters
    if any(letter.swapcase() in own for letter in own):  # whether K is k depends on who writes
        return None
    letters = bool(expected.letters | given.letters)
    rounded = expected.approximate or given.approximate
    if expected.shape[0] in ("list", "{"):
        return _same_collection(expected, given, rounded)
    found = {_same(one, other, letters, rounded) for one, other in zip(expected.entries, given.entries, strict=True)}
    if False in found:
        return None if reference.isalpha() and answer.isalpha() else False
    return True if found == {True} else None


def _never_same(one: Elementary, other: Elementary) -> bool:
    """Whether one text says one value, and the other a tuple, a set or a matrix of several."""
    return one.shape == ("one", 1) and other.shape[0] in ("(", "[", "{", "matrix") and len(other.entries) > 1


def _same_collection(expected: Elementary, given: Elementary, rounded: bool) -> bool | None:
    """Whether two lists, or two sets, hold the same in any order. In a set, what is listed twice is there once."""
    sides = [expected.entries, given.entries]
    if expected.letters or given.letters:
        return None
    if expected.shape[0] == "{":
        sides = [tuple(dict.fromkeys(side)) for side in sides]
    if len(sides[0]) != len(sides[1]):
        return None if rounded or any(isinstance(value, float) for side in sides for (value, *_) in side) else False
    if any(len(set(side)) < len(side) for side in sides):
        return True if sorted(sides[0]) == sorted(sides[1]) else None
    pairs = zip(sorted(sides[0]), sorted(sides[1]), strict=True)
    found = {_same(one, other, False, rounded) for one, other in pairs}
    return False if False in found else True if found == {True} else None


def _settle_union(reference: str, answer: str) -> bool | None:
    """Whether two unions have the same parts in any order; None where they do not, as parts may overlap."""
    sides = [[read(part.strip()) for part in text.split("\\cup")] for text in (reference, answer)]
    if any(not isinstance(part, Elementary) or part.letters or part.approximate for side in sides for part in side):
        return None
    parts = [{(part.shape, part.entries) for part in side if isinstance(part, Elementary)} for side in sides]
    return True if parts[0] == parts[1] else None


def value(text: str) -> Number | None:
    """The one number that a normalised text stands for; None where it is anything else, or not elementary."""
    found = read(text)
    if not isinstance(found, Elementary) or found.shape != ("one", 1) or found.letters:
        return None
    return found.entries[0][0]


def _means_one(text: str) -> bool:
    """Whether the letters of a text mean one thing. The imaginary unit does where it stands once, as in a + bi."""
    found = _ALL_LETTERS.findall(_SCIENTIFIC.sub("", text))
    imaginary = found.count("i") == 0 or (found.count("i") == 1 and not re.search(r"[/^]|frac", text))
    return imaginary and not _MANY_MEANINGS & set(found)


def is_readable(text: str) -> bool:
    """Whether a normalised text surely says something, if not something that can be compared here.

    Beside what `read` reads: equations, unions and the like of it, a number in a base, and a unit in words.
    """
    if len(text) > LONGEST:
        return False
    pieces = _RELATION.split(_DRESS.sub("", text.rstrip()))
    return all(isinstance(read(piece.strip()), Elementary) for piece in pieces)


def _same(expected: tuple[Number, ...], given: tuple[Number, ...], letters: bool, rounded: bool) -> bool | None:
    """One entry's values at all points against another's; None where they are close without being equal."""
    verdicts = {_same_value(one, other, letters, rounded) for one, other in zip(expected, given, strict=True)}
    return False if False in verdicts else True if verdicts == {True} else None


def _same_value(one: Number, other: Number, letters: bool, rounded: bool) -> bool | None:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        if one == other:
            return True
        # Where nothing is rounded, another value is another value, however close.
        return False if not rounded or abs(one - other) > Fraction(APART) * max(abs(one), abs(other)) else None
    if _is_infinite(one) or _is_infinite(other):
        return one == other
    try:
        first, second = float(one), float(other)
    except OverflowError:  # an irrational value is never so large
        return False
    apart, size = abs(first - second), max(abs(first), abs(second))
    if apart > APART and apart > APART * size:
        return False
    # Equal floats prove nothing of expressions with letters.
    return True if not letters and apart <= CLOSE * size else None


def _is_infinite(value: Number) -> bool:
    return isinstance(value, float) and math.isinf(value)


@lru_cache(maxsize=4096)
def read(text: str) -> Elementary | TooLarge | None:
    """What a normalised text says; TOO_LARGE where its value cannot be computed, and None where it is not elementary."""
    if len(text) > LONGEST:
        return None
    letters: set[str] = set()
    try:
        shape, texts = _parts(text.strip())
        if shape[0] in ("one", "list") and _THOUSANDS.search(text):
            return None
        entries = tuple(values_of(tokens_of(part), letters) for part in texts)
    except Oversized:
        return TOO_LARGE
    except (Unread, ZeroDivisionError, OverflowError):
        return None
    return Elementary(shape, entries, frozenset(letters), "." in text)


def _parts(text: str) -> tuple[tuple[object, ...], list[str]]:
    """The shape of a text and its entries."""
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [row.split("&") for row in re.split(r"\\\\", matrix[2].strip().removesuffix(r"\\"))]
        if len({len(row) for row in rows}) != 1:
            raise Unread
        return ("matrix", len(rows), len(rows[0])), [entry for row in rows for entry in row]
    for opening, closing in (("(", ")"), ("(", "]"), ("[", ")"), ("[", "]"), (r"\{", r"\}")):
        if text.startswith(opening) and text.endswith(closing):
            entries = _split(text[len(opening) : -len(closing)])
            if entries is not None and (len(entries) > 1 or opening == r"\{"):
                return (opening.strip("\\"), closing, len(entries)), entries
    entries = _split(_DEGREES.sub("", text))
    if entries is None:
        raise Unread
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
