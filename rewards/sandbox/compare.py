"""Whether what a program gave is what was expected: compared in the judge's process, on exact built-in types.

conduct.py hands over the packed reply. It is unpacked here, within bounds that follow from the expected value, so that
no object of the program's own making takes part in its comparison.
"""

import math
import re
from decimal import Decimal
from typing import Any

from rewards.sandbox.examination import Call, Calls
from rewards.sandbox.inside import wire

CLOSE = Decimal("1e-6")  # as most judges of programs have it
_NUMBER = re.compile(r"[-+]?(?:\d{1,100}(?:\.\d{0,100})?|\.\d{1,100})(?:[eE][-+]?\d{1,3})?")
_LARGEST_KEY = 10.0**300  # beyond it, writing a number in decimal could take as long as a program likes


def gives_expected(tests: Calls, call: Call, packed: Any) -> bool:
    """Whether a packed value is the one that a call expects."""
    try:
        value = wire.Reader(wire.HASHED_ENTRIES + call.hashed_entries).unpack(packed)
        return _holds(tests, call, value)
    except (wire.WireError, RecursionError, OverflowError):
        return False


def _holds(tests: Calls, call: Call, value: Any) -> bool:
    match call.comparison:
        case "true" | "false":
            return not isinstance(value, wire.Opaque) and bool(value) == (call.comparison == "true")
        case "identical":
            return value is call.expected
        case "different":
            return not isinstance(value, wire.Opaque) and bool(value != call.expected)
        case "near":
            expected, margin = call.expected
            return isinstance(value, (int, float, complex)) and abs(value - expected) < margin
    if tests.from_json or tests.tolerance is not None:
        return _agree(value, call.expected, tests)
    return bool(value == call.expected)


def _agree(value: Any, expected: Any, tests: Calls) -> bool:
    """Equality of JSON data: a tuple counts as the list it would be written as, floats may have a tolerance."""
    sequences = (list, tuple) if tests.from_json else (type(expected),)
    if isinstance(expected, (list, tuple)):
        same = isinstance(value, sequences) and len(value) == len(expected)
        return same and all(_agree(one, other, tests) for one, other in zip(value, expected, strict=True))
    if isinstance(expected, dict):
        if not isinstance(value, dict) or len(value) != len(expected):
            return False
        own = {_json_key(key) if tests.from_json else key: one for key, one in value.items()}
        return own.keys() == expected.keys() and all(_agree(own[key], expected[key], tests) for key in expected)
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    if isinstance(value, float) and isinstance(expected, float) and math.isnan(value) and math.isnan(expected):
        return True
    numbers = isinstance(value, (int, float)) and isinstance(expected, (int, float))
    if numbers and tests.tolerance is not None:
        return math.isclose(value, expected, rel_tol=tests.tolerance, abs_tol=tests.tolerance)
    return bool(value == expected)


def _json_key(key: Any) -> Any:
    """A key of a dictionary as JSON would write it; what JSON cannot write stays as it is, and equals no text."""
    if isinstance(key, (bool, type(None))):
        return {True: "true", False: "false", None: "null"}[key]
    return repr(key) if isinstance(key, (int, float)) and abs(key) < _LARGEST_KEY else key


def same_lines(written: str, expected: str) -> bool:
    """Whether two outputs agree line by line, but for white space at the end of lines and of the whole.

    Numbers are compared by value, as judges do: 2.0 is 2, and where a fraction is expected, what differs from it by no more
    than CLOSE, relative or absolute, is it.
    """
    given, wanted = _lines(written), _lines(expected)
    return len(given) == len(wanted) and all(
        one == other or _same_numbers(one, other) for one, other in zip(given, wanted, strict=True)
    )


def _same_numbers(given: str, wanted: str) -> bool:
    """Whether two lines have the same words and, where these are numbers, the same values."""
    words, others = given.split(), wanted.split()
    return len(words) == len(others) and all(
        one == other or _same_number(one, other) for one, other in zip(words, others, strict=True)
    )


def _same_number(given: str, wanted: str) -> bool:
    if not _NUMBER.fullmatch(given) or not _NUMBER.fullmatch(wanted):
        return False
    one, other = Decimal(given), Decimal(wanted)
    if one == other or wanted.lstrip("+-").isdigit():
        return one == other
    return abs(one - other) <= CLOSE * max(Decimal(1), abs(other))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").rstrip().split("\n")]
