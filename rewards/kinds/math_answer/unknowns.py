r"""Values of named unknowns, points and vectors as tuples: `x=2, y=3`, `P(2,3)`, a matrix of one column.

forms.py asks here for a pair of texts: the reference's names decide the order.
"""

import re
from collections.abc import Iterable

from rewards.kinds.math_answer.brackets import closes_at_the_end, top_level

NAME = r"(?:[A-Za-z](?:_\{?\w{1,4}\}?|')?|\\(?:theta|alpha|beta|gamma|lambda|mu|phi|omega)|[a-zA-Z]\([a-zA-Z]\))"
ASSIGNED = re.compile(rf"({NAME})\s*=\s*([^=<>]+)", re.DOTALL)
AND = re.compile(r"\s*(?:\\text\s*\{\s*and\s*\}|\\wedge(?![A-Za-z])|\band\b)\s*")
MATRIX = re.compile(r"\\begin\{([bp]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_NAMED_TUPLE = re.compile(rf"\(\s*({NAME}(?:\s*,\s*{NAME})+)\s*\)\s*=\s*(\(.+\))", re.DOTALL)
_NAMED_POINT = re.compile(
    r"(?:\\(?:vec|overrightarrow|mathbf)\s*\{\s*\w+\s*\}|[A-Z])(?:_\{?\w\}?|')?\s*=?\s*(\([^()]*,.*\))", re.DOTALL
)
_AND_OR = re.compile(r"\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\\(?:wedge|vee|lor|land)(?![A-Za-z])|\b(?:and|or)\b)\s*")


def without_names(reference: str, answer: str) -> tuple[str, str]:
    """Values of named unknowns in one order, as tuples: the reference's names decide."""
    several = _solutions(reference), _solutions(answer)
    if several[0] is not None and several[1] is not None and set(several[0][0]) == set(several[1][0]):
        names = list(several[0][0])
        listed = [",".join(_tuple(one[name] for name in names) for one in found) for found in several if found]
        return listed[0], listed[1]
    wanted, given = _named(reference), _named(answer)
    if wanted is not None and given is not None:
        if set(wanted) == set(given):
            given = {name: given[name] for name in wanted}
        return _tuple(wanted.values()), _tuple(given.values())
    if wanted is not None:
        return (_tuple(wanted.values()), _bracketed(answer)) if len(wanted) > 1 else (reference, answer)
    if given is not None and _is_tuple(reference):
        return reference, _tuple(given.values())
    reference, answer = _point(reference), _point(answer)
    if _is_tuple(reference) != _is_tuple(answer):
        return _vector(reference), _vector(answer)
    return reference, answer


def _solutions(text: str) -> list[dict[str, str]] | None:
    """Two or more solutions in two or more unknowns, one after the other: `p=5, q=2; p=7, q=3`."""
    if text.count("=") < 4 or len(text) > 500:
        return None
    pieces = [piece.strip() for part in top_level(text) for piece in _AND_OR.split(part) if piece.strip()]
    assigned = [ASSIGNED.fullmatch(piece) for piece in pieces]
    values = [(one[1], one[2].strip()) for one in assigned if one is not None]
    unknowns = len(dict(values))
    if len(values) < len(pieces) or unknowns < 2 or len(values) % unknowns or len(values) == unknowns:
        return None
    found = [dict(values[start : start + unknowns]) for start in range(0, len(values), unknowns)]
    return found if all(len(one) == unknowns for one in found) else None


def _named(text: str) -> dict[str, str] | None:
    """The values of two or more different unknowns by name."""
    if "=" not in text or len(text) > 500:
        return None
    found = _NAMED_TUPLE.fullmatch(text)
    if found:
        names, given = top_level(found[1]), top_level(found[2][1:-1])
        return dict(zip(names, given, strict=True)) if len(names) == len(given) == len(set(names)) else None
    inner = text[1:-1] if _is_tuple(text) else text
    pieces = [piece for part in top_level(inner) for piece in AND.split(part) if piece.strip()]
    assigned = [ASSIGNED.fullmatch(piece.strip()) for piece in pieces]
    values = [(one[1], one[2].strip()) for one in assigned if one is not None]
    return dict(values) if 1 < len(dict(values)) == len(pieces) else None


def _point(text: str) -> str:
    """A tuple without the name of its point: `P(1,2)`."""
    found = _NAMED_POINT.fullmatch(text)
    return found[1] if found and closes_at_the_end(found[1]) else text


def _vector(text: str) -> str:
    """A matrix of one row or one column as a tuple; anything else as it is."""
    found = MATRIX.fullmatch(text)
    rows = [row.split("&") for row in re.split(r"\\\\", found[2].strip())] if found else []
    if not rows or (len(rows) > 1 and any(len(row) > 1 for row in rows)):
        return text
    return _tuple(entry.strip() for row in rows for entry in row)


def _is_tuple(text: str) -> bool:
    return text.startswith("(") and text.endswith(")") and closes_at_the_end(text) and len(top_level(text[1:-1])) > 1


def _bracketed(text: str) -> str:
    """A list as a tuple; anything else as it is."""
    text = _point(text)
    pieces = [piece for part in top_level(text) for piece in AND.split(part)]
    return _tuple(pieces) if len(pieces) > 1 and not text.startswith(("(", "[", "\\{")) else text


def _tuple(values: Iterable[str]) -> str:
    return f"({','.join(values)})"
