r"""Sets in words and by inequalities: `no solution`, `all real numbers`, `|x| < 2` as the interval `(-2,2)`.

forms.py asks for the intervals of an inequality; comparison.py, closing.py and lines.py for the words.
"""

import re

from rewards.kinds.math_answer.brackets import unwrapped
from rewards.kinds.math_answer.unknowns import AND, NAME

_ABSOLUTE = re.compile(r"\|([^|<>]+)\|\s*(<|>|\\leq|\\geq)(?![A-Za-z])\s*([^<>|]+)")
_UNEQUAL = re.compile(r"[A-Za-z]\s*\\neq(?![A-Za-z])\s*([^<>=,]+)")
_MEMBER = re.compile(r"[a-z]\s*\\in(?![A-Za-z])\s*(?=\\mathbb|\\R|\(-\\infty)")
_COMPARED = re.compile(r"(<|>|\\leq(?![A-Za-z])|\\geq(?![A-Za-z]))")
_UNKNOWN = re.compile(rf"{NAME}")
_OR = re.compile(r"\s*(?:\\text\s*\{\s*,?\s*or\s*\}|\\vee(?![A-Za-z])|\bor\b)\s*")
# What different words and signs for one set come to.
_EMPTY, _REALS = r"\emptyset", r"\mathbb{R}"
_SETS = {
    **dict.fromkeys(
        (_EMPTY, r"\{\}", "no solution", "no real solution", "no answer", "the empty set", "empty set", "no real root",
         "no root", "there is no solution", "there are no solution", "no solution exist", "no such number", "none exist", "no value",
         "there are no real solution", "there is no real solution", "no such x exist", "none", "no integer solution", "无解", "空集", "無解"),
        _EMPTY,
    ),
    **dict.fromkeys(
        (_REALS, r"\mathbf{R}", r"\Re", r"(-\infty,\infty)", r"(-\infty,+\infty)", "all real number", "all real", "any real number",
         "all real value", "the set of all real number", "set of all real number", "real number", "all number", r"\R"),
        _REALS,
    ),
    **dict.fromkeys((r"\mathbb{Z}", "all integer", "integer", "the set of all integer", "any integer"), r"\mathbb{Z}"),
    **dict.fromkeys((r"\mathbb{Z}^+", r"\mathbb{Z}^{+}", r"\mathbb{Z}_{+}", "all positive integer", "positive integer"), r"\mathbb{Z}^+"),
    **dict.fromkeys((r"\mathbb{R}^+", r"\mathbb{R}^{+}", r"\mathbb{R}_{+}", r"(0,\infty)", r"(0,+\infty)", "all positive real number",
                     "positive real number", "all positive real"), r"(0,\infty)"),
    **dict.fromkeys((r"\infty", r"+\infty", "infinity", "positive infinity"), r"\infty"),
    **dict.fromkeys((r"-\infty", "negative infinity", "minus infinity"), r"-\infty"),
    **dict.fromkeys(("does not exist", "dne", "the limit does not exist", "limit does not exist"), "does not exist"),
    **dict.fromkeys(("infinitely many", "infinitely many solution", "infinite", "infinite solution"), "infinitely many"),
}  # fmt: skip


def known_set(text: str) -> str | None:
    """One word for the sets, and their absence, that answers name in many: all real numbers, no solution."""
    if len(text) > 80:
        return None
    plain = _MEMBER.sub("", re.sub(r"\s+", " ", unwrapped(text)).strip(" ."))
    found = _SETS.get(plain.replace(" ", "")) or _SETS.get(plain)
    if found is not None:
        return found
    words = (
        re.sub(r"(?:\s+for)?(?:\s+all)?\s+[xytn]$", "", plain.casefold()) if plain[:1].isalpha() else plain.casefold()
    )
    return _SETS.get(
        " ".join(word if word == "does" or len(word) < 4 else word.removesuffix("s") for word in words.split())
    )


def solution_set(text: str) -> str | None:
    """The intervals that an inequality in one unknown stands for, as text; None where it is none."""
    if len(text) > 300:
        return None
    if unequal := _UNEQUAL.fullmatch(text):
        return rf"(-\infty,{unequal[1]})\cup({unequal[1]},\infty)"
    if not _COMPARED.search(text):
        return None
    if within := _ABSOLUTE.fullmatch(text):
        name, sign, bound = within.groups()
        smaller = sign in ("<", r"\leq")
        text = (
            f"-({bound}){sign}{name}{sign}{bound}"
            if smaller
            else f"{name}{sign}{bound} or {name}{_MIRRORED[sign]}-({bound})"
        )
    parts = [_interval(part) for part in _OR.split(text)]
    return None if None in parts else r"\cup".join(part for part in parts if part is not None)


_MIRRORED = {">": "<", r"\geq": r"\leq"}


def _interval(text: str) -> str | None:
    bounds: dict[str, tuple[str, bool]] = {}
    unknown = None
    for part in AND.split(text):
        pieces = [piece.strip() for piece in _COMPARED.split(part)]
        if len(pieces) not in (3, 5):
            return None
        where = [place for place in range(0, len(pieces), 2) if _UNKNOWN.fullmatch(pieces[place])]
        if len(where) != 1 or (len(pieces) == 5 and where != [2]) or unknown not in (None, pieces[where[0]]):
            return None
        unknown = pieces[where[0]]
        for sign in range(1, len(pieces), 2):
            smaller = pieces[sign] in ("<", r"\leq")
            other = pieces[sign + 1] if sign - 1 == where[0] else pieces[sign - 1]
            side = "upper" if smaller == (sign - 1 == where[0]) else "lower"
            if side in bounds or not other:
                return None
            bounds[side] = (other, pieces[sign] in (r"\leq", r"\geq"))
    lower, upper = bounds.get("lower", (r"-\infty", False)), bounds.get("upper", (r"\infty", False))
    return f"{'[' if lower[1] else '('}{lower[0]},{upper[0]}{']' if upper[1] else ')'}"
