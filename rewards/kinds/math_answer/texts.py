r"""The text of a reference, and of a final answer, as comparison.py compares them: normalised, without a sentence around it.

verifier.py asks here. Neighbours: reading.py (finds the final answer in a completion), sentences.py, notation.py.
"""

import re
from typing import Any

from rewards.kinds.math_answer.boxes import boxes_in
from rewards.kinds.math_answer.brackets import is_wrapped, top_level, unwrapped
from rewards.kinds.math_answer.notation import has_lost_escapes, normalise, without_doubled_escapes
from rewards.kinds.math_answer.reading import announced_in
from rewards.kinds.math_answer.sentences import said_in

_BASE = re.compile(r"(?<=\d)_\{?(\d+)\}?$")
_ANNOUNCED = re.compile(r"\banswers?\b|答案", re.IGNORECASE)
_MISSING = frozenset(("nan", "none", "null", "n/a", "na", "<na>", ""))
JOINED = re.compile(r"\b(?:and|or)\b")
NAMED = re.compile(r"(?:[A-Za-z](?:_\{?\w+\}?)?|[A-Za-z]\([A-Za-z]\)|\\[a-z]+)\s*=\s*([^=<>]+)", re.DOTALL)


def is_missing(value: Any) -> bool:
    """Whether a row has no reference: None, or what a table makes of it, NaN."""
    return value is None or (isinstance(value, float) and value != value)


def reference_text(value: Any) -> str | None:
    r"""A dataset's answer as normalised text: the part after "####" (GSM8K), in boxes, announced, or all of it.

    None for what holds nothing to compare with: no text and no number, or LaTeX whose backslashes were lost.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)) or is_missing(value):
        return None
    text = str(value).rpartition("####")[2]
    if has_lost_escapes(text) or text.strip().casefold() in _MISSING:
        return None
    if "\\\\" in text:
        text = without_doubled_escapes(text)
    if "box" in text:
        box = boxes_in(text)
        if box is not None:
            return normalise(box) or None
    if " " in text or ":" in text or "答案" in text or "answer" in text.casefold():
        text = _without_sentence(text)
    return normalise(text) or None


def _without_sentence(text: str) -> str:
    """The answer in a sentence that gives one; a text that is none as it is."""
    if _ANNOUNCED.search(text) and (found := announced_in(text)):
        return found
    return said_in(text) or text


def answer_text(answer: str) -> str:
    """What was found as the final answer, normalised: without a sentence around it, as in `\\text{The answer is } 42`."""
    if _ANNOUNCED.search(answer) and (found := announced_in(unwrapped(answer))):
        return normalise(found)
    if is_wrapped(answer) and "=" in answer:
        answer = unwrapped(answer)
    return normalise(said_in(answer) or answer)


def is_equation(reference: str) -> bool:
    """Whether a normalised reference is an equation, or several, and not the value of one unknown."""
    if "=" not in reference or NAMED.fullmatch(reference):
        return False
    return all(piece.count("=") < 2 for part in top_level(reference) for piece in JOINED.split(part))


def base(text: str) -> str | None:
    """The base that a number is written in, from its subscript."""
    found = _BASE.search(text)
    return found.group(1) if found else None
