r"""The answer in a tag that holds several lines: steps, a result and a remark, or one value a line.

reading.py asks here. What remains ambiguous is given back as a list of all that was said, so that a text cannot offer
several answers by writing them below one another.
"""

import re

from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.literals import choice
from rewards.kinds.math_answer.notation import normalise
from rewards.kinds.math_answer.quantities import quantity
from rewards.kinds.math_answer.sentences import DENIED, said_in
from rewards.kinds.math_answer.sets import known_set

MOST_LINES, LONGEST_LINE = 40, 300  # characters

_ENVIRONMENT = re.compile(r"\\begin|\$\$|\\\[")
_BULLET = re.compile(r"(?:[-*•]\s+|\d{1,2}[.)]\s+)(?=\S)")
_CONTINUES = re.compile(r"^(?:\$|\\\()?\s*(?:=|\\implies|\\Rightarrow|\\therefore|⇒|∴|→)")
_NAMED = re.compile(r"([A-Za-z](?:_\{?\w+\}?|'|\([A-Za-z]\))?|\\[a-z]+)\s*=\s*([^=<>]+)")


def answer_of_lines(text: str) -> str | None:
    """What several lines of a tag say the answer is; None for a text of one line, and for a formula over several."""
    lines = [line for line in (one.strip() for one in text.splitlines()) if line]
    if len(lines) < 2 or len(lines) > MOST_LINES or _ENVIRONMENT.search(text):
        return None
    bulleted = all(_BULLET.match(line) for line in lines)
    said = [_said(_BULLET.sub("", line) if bulleted else line) for line in lines]
    found = [(line, value) for line, value in zip(lines, said, strict=True) if value is not None]
    if not found:
        return None
    if _CONTINUES.match(found[-1][0]):  # 6 \cdot 7, and below it = 42
        return found[-1][1]
    named = [_NAMED.fullmatch(value) for _, value in found]
    bare = _different([value for (_, value), name in zip(found, named, strict=True) if name is None])
    if bare:
        return ", ".join(bare)
    names = {name[1]: name[0] for name in named if name is not None}
    return ", ".join(names.values()) if len(names) == len(found) else ", ".join(_different([one for _, one in found]))


def _said(line: str) -> str | None:
    """The value that a line gives, alone or in a sentence that says so; None where it says none, or denies one."""
    if len(line) > LONGEST_LINE or DENIED.search(line):
        return None
    text = normalise(line)
    if _is_value(text):
        return _last_side(text)
    found = said_in(line)
    return None if found is None else _last_side(normalise(found))


def _is_value(text: str) -> bool:
    if quantity(text) is not None or choice(text) is not None or known_set(text) is not None:
        return True
    return bool(text) and elementary.is_readable(_CONTINUES.sub("", text)) and not text.isalpha()


def _last_side(text: str) -> str:
    """What a computation comes to: `6 \\cdot 7 = 42` is 42; `x = 3` is said as it is."""
    text = _CONTINUES.sub("", text).strip()
    return text if _NAMED.fullmatch(text) or "<" in text or ">" in text else text.rpartition("=")[2].strip()


def _different(values: list[str]) -> list[str]:
    """The values, those that are said twice in two ways once."""
    kept: list[str] = []
    for one in values:
        if not any(one == other or elementary.settle(other, one) for other in kept):
            kept.append(one)
    return kept
