r"""What an answer's form says beyond its value: choices, sentences, sets by an inequality, named unknowns, residues.

`aligned` rewrites a pair of normalised texts so that both say the same kind of thing in the same order, where they do:
`0 < x < 1` and `(0,1)`, `x=2, y=3` and `(2,3)`, `\frac{1\pm\sqrt5}{2}` and the list of its two values. verifier.py then
compares what is left. Neighbours: notation.py (one notation), elementary.py (values).
"""

import re
from collections.abc import Iterable

from rewards.kinds.math_answer.notation import closes_at_the_end, is_wrapped, top_level, unwrapped
from rewards.kinds.math_answer.quantities import quantity

_CASES = re.compile(r"\\begin\{(cases|array|aligned|align\*?|gathered)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}", re.DOTALL)
_MATRIX = re.compile(r"\\begin\{([bp]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_IN = re.compile(r"([A-Za-z](?:_\{?\w+\}?|\([A-Za-z]\))?|\\[a-z]+|\([a-z, ]+\))\s*\\in(?![A-Za-z])\s*(.+)", re.DOTALL)
_SET_BUILDER = re.compile(r"\\\{\s*([A-Za-z])\s*(?:\\in\s*\\(?:mathbb\s*\{?R\}?|R)\s*)?[|:]\s*(.+?)\s*\\\}", re.DOTALL)
_ABSOLUTE = re.compile(r"\|([^|<>]+)\|\s*(<|>|\\leq|\\geq)(?![A-Za-z])\s*([^<>|]+)")
_UNEQUAL = re.compile(r"[A-Za-z]\s*\\neq(?![A-Za-z])\s*([^<>=,]+)")
_ALL_BUT = re.compile(r"\\mathbb\{R\}\s*\\(?:setminus|backslash)\s*\\\{([^{},]+)\\\}")
_ALL_EXCEPT = re.compile(
    r"(?:the set of )?all real (?:numbers|values) except (?:for )?(?:[a-z]\s*=\s*)?(.+)", re.IGNORECASE
)
_ROWS = re.compile(r"\[\s*\[[^\[\]]+\](?:\s*,\s*\[[^\[\]]+\])*\s*\]")
_UNION_LETTER = re.compile(r"(?<=[)\]])\s*(?:U|(?:\\text\s*\{\s*)?\bor\b\s*\}?)\s*(?=[(\[])")
_MEMBER = re.compile(r"[a-z]\s*\\in(?![A-Za-z])\s*(?=\\mathbb|\\R|\(-\\infty)")
_RESIDUE = re.compile(
    r"(.+?)\s*(?:\\pmod|\(?\s*(?:\\b?mod|\\?text\s*\{\s*mod\s*\}|\bmod\b))\s*\{?\s*(\d+)\s*\}?\s*\)?$", re.DOTALL
)
_NAME = r"(?:[A-Za-z](?:_\{?\w{1,4}\}?|')?|\\(?:theta|alpha|beta|gamma|lambda|mu|phi|omega)|[a-zA-Z]\([a-zA-Z]\))"
_NAMED_TUPLE = re.compile(rf"\(\s*({_NAME}(?:\s*,\s*{_NAME})+)\s*\)\s*=\s*(\(.+\))", re.DOTALL)
_NAMED_POINT = re.compile(
    r"(?:\\(?:vec|overrightarrow|mathbf)\s*\{\s*\w+\s*\}|[A-Z])(?:_\{?\w\}?|')?\s*=?\s*(\([^()]*,.*\))", re.DOTALL
)
_ASSIGNED = re.compile(rf"({_NAME})\s*=\s*([^=<>]+)", re.DOTALL)
_COMPARED = re.compile(r"(<|>|\\leq(?![A-Za-z])|\\geq(?![A-Za-z]))")
_UNKNOWN = re.compile(rf"{_NAME}")
_OR = re.compile(r"\s*(?:\\text\s*\{\s*,?\s*or\s*\}|\\vee(?![A-Za-z])|\bor\b)\s*")
_AND_OR = re.compile(r"\s*(?:\\text\s*\{\s*(?:and|or)\s*\}|\\(?:wedge|vee|lor|land)(?![A-Za-z])|\b(?:and|or)\b)\s*")
_AND = re.compile(r"\s*(?:\\text\s*\{\s*and\s*\}|\\wedge(?![A-Za-z])|\band\b)\s*")
_INTERVALS = re.compile(r"[(\[{\\].*[)\]}]", re.DOTALL)
_SIGNED = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_IN_BRACKETS = re.compile(r"\s*\(\s*(?=\\(?:approx|doteq|simeq)(?![A-Za-z]))([^()]*)\)$")
_APPROXIMATELY = re.compile(r"\\approx(?![A-Za-z])|\\doteq(?![A-Za-z])|\\simeq(?![A-Za-z])")

_CHOICE = re.compile(r"\(?\s*([A-Z])\s*\)?[.:]?")
_CHOICE_WITH_TEXT = re.compile(
    r"(?:(?:option|choice|answer)\s+)?(?:\(\s*([A-Z])\s*\)|([A-Z])\s*[).:])\s*(?!\s*$)(.+)", re.DOTALL | re.IGNORECASE
)
_LITERAL = re.compile(
    r"\d+(?:\s*-\s*\d+)+(?: [A-Za-z]+)*|\d+(?:\.\d+){2,}|\d{1,2}(?::\d{2})?\s*[ap]\.?m\.?|\d+(?:\s*:\s*\d+){2,}|\d{1,4}/\d{1,2}/\d{1,4}"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}|\d+(?::\d+){2,}")
_TIME = re.compile(r"\d{1,2}:\d{2}")
_TIME_IN_HALF = re.compile(r"(\d{1,2}:\d{2})\s*[ap]\.?m\.?", re.IGNORECASE)
_ENDLESS = re.compile(r"\.\.\.|\\ldots|\betc\b")

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


def choice(text: str) -> str | None:
    """The letter of an answer that is a choice and nothing else: `B`, `(B)`, `B.`."""
    plain = unwrapped(text).strip() if "\\" in text else text
    found = _CHOICE.fullmatch(re.sub(r"^(?:option|choice)\s+(?=\(?[A-Z]\b)", "", plain, flags=re.IGNORECASE))
    return found[1] if found else None


def choice_with_text(text: str) -> tuple[str, str] | None:
    r"""The letter and the text of an option that is written out: `(B) 5`, `\textbf{(D)}\ 12`, `E: a score`."""
    if len(text) > 2000:
        return None
    found = _CHOICE_WITH_TEXT.fullmatch(unwrapped(text).strip())
    if not found or not (found[1] or found[2]).isupper():
        return None
    return found[1] or found[2], found[3].strip()


def is_literal(text: str) -> bool:
    """Whether a reference is a date, a score, a range or a telephone number, which is never computed."""
    return _LITERAL.fullmatch(unwrapped(text).casefold()) is not None and (text.count("/") != 1)


def is_time(text: str) -> bool:
    """Whether a reference is a time of day that does not say which half of it."""
    return _TIME.fullmatch(text) is not None


def without_half_of_day(text: str) -> str:
    """A time of day without its half: `4:30 PM` as `4:30`; anything else as it is."""
    found = _TIME_IN_HALF.fullmatch(unwrapped(text))
    return found[1] if found else text


def is_date(text: str) -> bool:
    """Whether an answer is written as a date or a proportion of three, which is not computed."""
    return _DATE.fullmatch(text) is not None


def is_endless(text: str) -> bool:
    """Whether a list goes on without saying how."""
    return _ENDLESS.search(text) is not None


def without_approximation(text: str) -> tuple[str, str | None]:
    """`a \\approx b` as a and b; None for b where a text has none."""
    if "approx" not in text and "doteq" not in text and "simeq" not in text:
        return text, None
    exact, *rounded = _APPROXIMATELY.split(_IN_BRACKETS.sub(r"\1", text))
    return exact.strip(), rounded[-1].strip() if rounded else None


def aligned(reference: str, answer: str) -> tuple[str, str]:
    """Both texts in a form in which they can be compared, where they have one in common."""
    reference, answer = _flat(reference), _flat(answer)
    if reference.startswith("\\{") != answer.startswith("\\{"):
        reference, answer = _only_member(reference), _only_member(answer)
    reference, answer = _without_residue(reference, answer)
    if _SIGNED.search(reference) or _SIGNED.search(answer):
        reference, answer = both_signs(reference), both_signs(answer)
    intervals = _solution_set(reference), _solution_set(answer)
    if intervals[0] is not None and (intervals[1] is not None or _INTERVALS.fullmatch(answer)):
        return intervals[0], intervals[1] or answer
    if intervals[1] is not None and _INTERVALS.fullmatch(reference):
        return reference, intervals[1]
    return _without_names(reference, answer)


def _only_member(text: str) -> str:
    """The member of a set that has one, where it is a tuple; anything else as it is."""
    inner = text[2:-2].strip() if text.startswith("\\{") and text.endswith("\\}") else ""
    return inner if inner.startswith("(") and closes_at_the_end(inner) else text


def _flat(text: str) -> str:
    """Systems of equations as lists, `x \\in S` as S, and `{x | condition}` as the condition."""
    if "\\begin" in text:
        found = _CASES.fullmatch(text.removeprefix("\\{").strip()) or ("=" in text and _MATRIX.fullmatch(text)) or None
        if found:
            rows = [row.replace("&", " ").strip().rstrip(",.") for row in re.split(r"\\\\", found[2])]
            text = ", ".join(row for row in rows if row)
    if text.startswith("\\{") and (builder := _SET_BUILDER.fullmatch(text)):
        text = builder[2]
    if (all_but := _ALL_BUT.fullmatch(text) or _ALL_EXCEPT.fullmatch(unwrapped(text))) is not None:
        text = rf"x\neq {all_but[1]}"
    if text.startswith("[[") and text.endswith("]]") and _ROWS.fullmatch(text):
        rows = [" & ".join(top_level(row)) for row in re.findall(r"\[([^\[\]]+)\]", text)]
        text = "\\begin{pmatrix}" + r" \\ ".join(rows) + "\\end{pmatrix}"
    text = _UNION_LETTER.sub(r"\\cup", text)
    if "\\in" in text and (found := _IN.fullmatch(text)):
        return found[2].strip()
    return text


def _without_residue(reference: str, answer: str) -> tuple[str, str]:
    """A modulus that one side alone names is left out."""
    if "mod" not in reference and "mod" not in answer:
        return reference, answer
    wanted, given = _RESIDUE.fullmatch(reference), _RESIDUE.fullmatch(answer)
    if wanted and given:
        if wanted[2] != given[2]:
            return reference, answer
        one, other = _after_congruence(wanted[1]), _after_congruence(given[1])
        if re.fullmatch(r"-?\d{1,30}", one) and re.fullmatch(r"-?\d{1,30}", other) and int(wanted[2]):
            return str(int(one) % int(wanted[2])), str(int(other) % int(wanted[2]))
        return one, other
    if wanted:
        return _after_congruence(wanted[1]), answer
    if given and given[1].isdigit() and int(given[1]) >= int(given[2]):  # 5 mod 3 is no 5
        return reference, str(int(given[1]) % int(given[2])) if int(given[2]) else answer
    return (reference, _after_congruence(given[1])) if given else (reference, answer)


def _after_congruence(text: str) -> str:
    return re.split(r"\\equiv(?![A-Za-z])|\\cong(?![A-Za-z])", text)[-1].strip()


def both_signs(text: str) -> str:
    """Every entry with a plus-minus sign as the two that it stands for."""
    if not _SIGNED.search(text):
        return text
    for opening, closing in ((r"\{", r"\}"), ("", "")):
        if text.startswith(opening) and text.endswith(closing):
            inner = text[len(opening) : len(text) - len(closing)]
            name = _ASSIGNED.fullmatch(inner) if not opening else None
            pieces = [both for piece in top_level(name[2] if name else inner) for both in _signs_of(piece)]
            return f"{opening}{', '.join(pieces)}{closing}"
    return text


def _signs_of(piece: str) -> list[str]:
    if not _SIGNED.search(piece):
        return [piece]
    plus = re.sub(r"\\pm(?![A-Za-z])", "+", re.sub(r"\\mp(?![A-Za-z])", "-", piece))
    minus = re.sub(r"\\pm(?![A-Za-z])", "-", re.sub(r"\\mp(?![A-Za-z])", "+", piece))
    return [plus, minus]


def _solution_set(text: str) -> str | None:
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
    for part in _AND.split(text):
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


def _without_names(reference: str, answer: str) -> tuple[str, str]:
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
    assigned = [_ASSIGNED.fullmatch(piece) for piece in pieces]
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
    pieces = [piece for part in top_level(inner) for piece in _AND.split(part) if piece.strip()]
    assigned = [_ASSIGNED.fullmatch(piece.strip()) for piece in pieces]
    values = [(one[1], one[2].strip()) for one in assigned if one is not None]
    return dict(values) if 1 < len(dict(values)) == len(pieces) else None


def _point(text: str) -> str:
    """A tuple without the name of its point: `P(1,2)`."""
    found = _NAMED_POINT.fullmatch(text)
    return found[1] if found and closes_at_the_end(found[1]) else text


def _vector(text: str) -> str:
    """A matrix of one row or one column as a tuple; anything else as it is."""
    found = _MATRIX.fullmatch(text)
    rows = [row.split("&") for row in re.split(r"\\\\", found[2].strip())] if found else []
    if not rows or (len(rows) > 1 and any(len(row) > 1 for row in rows)):
        return text
    return _tuple(entry.strip() for row in rows for entry in row)


def _is_tuple(text: str) -> bool:
    return text.startswith("(") and text.endswith(")") and closes_at_the_end(text) and len(top_level(text[1:-1])) > 1


def _bracketed(text: str) -> str:
    """A list as a tuple; anything else as it is."""
    text = _point(text)
    pieces = [piece for part in top_level(text) for piece in _AND.split(part)]
    return _tuple(pieces) if len(pieces) > 1 and not text.startswith(("(", "[", "\\{")) else text


def _tuple(values: Iterable[str]) -> str:
    return f"({','.join(values)})"


def counted_list(text: str) -> str:
    r"""A list whose numbers have units, without them: `9 \text{ hens and } 10 \text{ rabbits}` as `9, 10`."""
    plain = unwrapped(text)
    if (
        not (" and " in plain or "," in plain or ";" in plain or "和" in plain)
        or len(plain) > 200
        or not re.search(r"\d\s*[^\W\d_]", plain)
    ):
        return text
    pieces = [piece.strip() for part in top_level(plain) for piece in re.split(r"\s+and\s+|和", part) if piece.strip()]
    found = [quantity(piece) for piece in pieces]
    numbers = [re.match(r"[-+]?\d+(?:[.,]\d+)*", piece) for piece in pieces]
    if len(pieces) < 2 or any(one is None or one.percent for one in found):
        return text
    return ", ".join(number[0] for number in numbers if number is not None)


def counts_by_name(text: str) -> dict[str, str] | None:
    r"""What is counted in a list, each with its number: `5 \text{ apples and } 3 \text{ pears}`; None for anything else."""
    plain = unwrapped(text)
    if not (" and " in plain or "," in plain) or len(plain) > 200:
        return None
    pieces = [piece.strip() for part in top_level(plain) for piece in re.split(r"\s+and\s+", part) if piece.strip()]
    found = [re.fullmatch(r"(-?\d+(?:\.\d+)?)\s+([A-Za-z]{3,})", piece) for piece in pieces]
    named = {one[2].casefold(): one[1] for one in found if one}
    return named if len(pieces) > 1 and len(named) == len(pieces) else None


def word_of(text: str) -> str | None:
    r"""A normalised text that is words rather than mathematics, without case; None otherwise. \text{...} says words."""
    plain = unwrapped(text).strip().rstrip(".!")
    wrapped = is_wrapped(text) and re.fullmatch(r"[A-Za-z][A-Za-z '-]+", plain) is not None
    return plain.casefold() if wrapped or _WORDS.fullmatch(plain) else None


_WORDS = re.compile(r"[A-Za-z]{4,}(?:[ '-][A-Za-z]+)*|yes|no|odd|true", re.IGNORECASE)
