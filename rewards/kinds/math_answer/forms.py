r"""A reference and an answer in one form: the same kind of thing, in the same order, where they say it differently.

`aligned` rewrites a pair of normalised texts: `0 < x < 1` and `(0,1)`, `x=2, y=3` and `(2,3)`, `\frac{1\pm\sqrt5}{2}` and
the list of its two values. comparison.py then compares what is left. Neighbours: sets.py and unknowns.py (two of the forms),
literals.py (what is never computed), notation.py (one notation), elementary.py (values).
"""

import re

from rewards.kinds.math_answer.brackets import closes_at_the_end, top_level, unwrapped
from rewards.kinds.math_answer.sets import solution_set
from rewards.kinds.math_answer.unknowns import ASSIGNED, MATRIX, without_names

_CASES = re.compile(r"\\begin\{(cases|array|aligned|align\*?|gathered)\}(?:\{[^{}]*\})?(.*)\\end\{\1\}", re.DOTALL)
_IN = re.compile(r"([A-Za-z](?:_\{?\w+\}?|\([A-Za-z]\))?|\\[a-z]+|\([a-z, ]+\))\s*\\in(?![A-Za-z])\s*(.+)", re.DOTALL)
_SET_BUILDER = re.compile(r"\\\{\s*([A-Za-z])\s*(?:\\in\s*\\(?:mathbb\s*\{?R\}?|R)\s*)?[|:]\s*(.+?)\s*\\\}", re.DOTALL)
_ALL_BUT = re.compile(r"\\mathbb\{R\}\s*\\(?:setminus|backslash)\s*\\\{([^{},]+)\\\}")
_ALL_EXCEPT = re.compile(
    r"(?:the set of )?all real (?:numbers|values) except (?:for )?(?:[a-z]\s*=\s*)?(.+)", re.IGNORECASE
)
_ROWS = re.compile(r"\[\s*\[[^\[\]]+\](?:\s*,\s*\[[^\[\]]+\])*\s*\]")
_UNION_LETTER = re.compile(r"(?<=[)\]])\s*(?:U|(?:\\text\s*\{\s*)?\bor\b\s*\}?)\s*(?=[(\[])")
_RESIDUE = re.compile(
    r"(.+?)\s*(?:\\pmod|\(?\s*(?:\\b?mod|\\?text\s*\{\s*mod\s*\}|\bmod\b))\s*\{?\s*(\d+)\s*\}?\s*\)?$", re.DOTALL
)
_INTERVALS = re.compile(r"[(\[{\\].*[)\]}]", re.DOTALL)
_SIGNED = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")


def aligned(reference: str, answer: str) -> tuple[str, str]:
    """Both texts in a form in which they can be compared, where they have one in common."""
    reference, answer = _flat(reference), _flat(answer)
    if reference.startswith("\\{") != answer.startswith("\\{"):
        reference, answer = _only_member(reference), _only_member(answer)
    reference, answer = _without_residue(reference, answer)
    if _SIGNED.search(reference) or _SIGNED.search(answer):
        reference, answer = both_signs(reference), both_signs(answer)
    intervals = solution_set(reference), solution_set(answer)
    if intervals[0] is not None and (intervals[1] is not None or _INTERVALS.fullmatch(answer)):
        return intervals[0], intervals[1] or answer
    if intervals[1] is not None and _INTERVALS.fullmatch(reference):
        return reference, intervals[1]
    return without_names(reference, answer)


def _only_member(text: str) -> str:
    """The member of a set that has one, where it is a tuple; anything else as it is."""
    inner = text[2:-2].strip() if text.startswith("\\{") and text.endswith("\\}") else ""
    return inner if inner.startswith("(") and closes_at_the_end(inner) else text


def _flat(text: str) -> str:
    """Systems of equations as lists, `x \\in S` as S, and `{x | condition}` as the condition."""
    if "\\begin" in text:
        found = _CASES.fullmatch(text.removeprefix("\\{").strip()) or ("=" in text and MATRIX.fullmatch(text)) or None
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
            name = ASSIGNED.fullmatch(inner) if not opening else None
            pieces = [both for piece in top_level(name[2] if name else inner) for both in _signs_of(piece)]
            return f"{opening}{', '.join(pieces)}{closing}"
    return text


def _signs_of(piece: str) -> list[str]:
    if not _SIGNED.search(piece):
        return [piece]
    plus = re.sub(r"\\pm(?![A-Za-z])", "+", re.sub(r"\\mp(?![A-Za-z])", "-", piece))
    minus = re.sub(r"\\pm(?![A-Za-z])", "-", re.sub(r"\\mp(?![A-Za-z])", "+", piece))
    return [plus, minus]
