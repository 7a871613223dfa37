r"""The boxes of a text: where they are, which of them are listed together, and which are denied.

reading.py looks for what else a text may say. A text comes from a model: everything is in time linear in it, how many
boxes are looked at is bounded, and so is how long one may be.
"""

import re

from rewards.kinds.math_answer import elementary
from rewards.kinds.math_answer.notation import normalise

BOX_CHARACTERS = 5_000  # how long a box may be before it counts as never closed
BOXES = 20  # how many boxes are looked at, from the last
JOINED_CHARACTERS = 40  # between two boxes of one list

_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")
_JOINS = re.compile(
    r"[\s$.]*(?:\\[()\[\]]|\\q?quad|\\[,;: ]|[\s$~])*(?:(?:,|;|&|\\text\s*\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)(?:\\[()\[\]]|\\q?quad|\\[,;: ]|[\s$~])*)+"
)
_NAME = re.compile(r"(?<![A-Za-z\\])[A-Za-z](?:_\{?\w+\}?)?\s*=\s*$")  # of what a box holds
# What stands right before an answer that it denies.
NEGATED = re.compile(
    r"(?:\b(?:not|isn't|isn’t|never|cannot be|can't be|neither|nor)|\\neq?|≠|\\not\s*=?|(?<![\w)}!])!=|不是|不为|不等于|并非)(?:\s|\$|\\\(|\\\[|\*|=|be\b|equal to\b|the answer\b|definitely\b)*$",
    re.IGNORECASE,
)
# What stands right after one that it denies.
DENIED_AFTER = re.compile(
    r"[\s$*\\)\]]{0,12}\b(?:is|was|would be)\s+(?:wrong|incorrect|not\s+(?:correct|right|the\s+(?:correct\s+|right\s+|final\s+)?answer))\b",
    re.IGNORECASE,
)


def last_box(text: str) -> str | None:
    r"""What stands in the last closed \boxed{...}; None without one."""
    for start in _box_starts(text):
        found = _box_at(text, start)
        if found is not None:
            return text[found[0] : found[1]].strip()
    return None


def boxes_in(text: str) -> str | None:
    r"""What stands in the boxes of a text that has some: the last one, or all that are listed with it."""
    return last_boxes(text)[0]


def last_boxes(text: str, values: int = 1) -> tuple[str | None, int]:
    """The contents of the last box that is not denied, joined with those it is listed with, and where it ends.

    values: how many the reference lists. Where the last box's line has just as many, they are the answer with any words
    between them; fewer or more are steps and the last one.
    """
    if "boxed" not in text and "fbox" not in text:
        return None, 0
    if values > 1 and (together := _boxes_of_last_line(text, values)) is not None:
        return together
    listed: list[str] = []
    first, end = 0, 0
    for start in _box_starts(text):
        found = _box_at(text, start)
        if found is None:
            continue
        opens, closes = found
        command = _command_start(text, start)
        if not listed:
            if NEGATED.search(text[max(0, command - 40) : command]) or DENIED_AFTER.match(text, closes + 1):
                continue
            listed, first, end = [text[opens:closes].strip()], command, closes + 1
            continue
        between = text[closes + 1 : first]
        if (
            len(between) > JOINED_CHARACTERS
            or not _JOINS.fullmatch(between)
            or NEGATED.search(text[max(0, command - 40) : command])
        ):
            break
        listed.insert(0, text[opens:closes].strip())
        first = command
    if not listed:
        return None, 0
    return ", ".join(_different(listed)), end


def _boxes_of_last_line(text: str, values: int) -> tuple[str, int] | None:
    """The boxes of the last line that has some, with the names that are set equal to them, if they are so many."""
    listed: list[str] = []
    first, end = 0, 0
    for start in _box_starts(text):
        found, command = _box_at(text, start), _command_start(text, start)
        if found is None or NEGATED.search(text[max(0, command - 40) : command]):
            return None
        if listed and "\n" in text[found[1] : first]:
            break
        name = _NAME.search(text[max(0, command - 20) : command])
        listed.insert(0, (name[0] if name else "") + text[found[0] : found[1]].strip())
        first, end = command, end or found[1] + 1
        if len(listed) > values:
            return None
    return (", ".join(listed), end) if len(listed) == values else None


def _different(listed: list[str]) -> list[str]:
    """The values in boxes, those that are said twice in two ways once: the last time."""
    kept: list[str] = []
    for one in reversed(listed):
        if not any(one == other or elementary.settle(normalise(one), normalise(other)) for other in kept):
            kept.insert(0, one)
    return kept


def _box_starts(text: str) -> list[int]:
    """Where the opening braces of the last boxes are, from the last."""
    found: list[int] = []
    end = len(text)
    while len(found) < BOXES and (place := max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))) >= 0:
        match = _BOX.match(text, place)
        if match:
            found.append(match.end())
        end = place
    return found


def _command_start(text: str, brace: int) -> int:
    return max(text.rfind("\\boxed", 0, brace), text.rfind("\\fbox", 0, brace))


def _box_at(text: str, brace: int) -> tuple[int, int] | None:
    """Where the content of a box begins and ends; None where it is never closed."""
    depth, escaped = 0, False
    for position in range(brace, min(len(text), brace + BOX_CHARACTERS)):
        character = text[position]
        if character in "{}" and not escaped:
            depth += 1 if character == "{" else -1
            if depth == 0:
                return brace + 1, position
        escaped = character == "\\" and not escaped
    return None
