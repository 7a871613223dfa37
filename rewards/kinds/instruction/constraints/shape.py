"""Constraints on the shape of a text: its marks, lists, sections, what it starts and ends with, JSON.

Texts are hostile: every pattern is linear. Where the benchmark's own expression is not (titles, placeholders, bullets),
what it counts is counted by other means.
"""

import json
import re

from rewards.kinds.instruction.constraints.parameters import Count, Phrase

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
RESPONSE_DIVIDER = "******"

_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*\]")
_HIGHLIGHT = re.compile(r"\*([^\n*]*)\*")
_STRONG_HIGHLIGHT = re.compile(r"\*\*([^\n*]*)\*\*")
_FENCES = ("```json", "```Json", "```JSON", "```")
_POSTSCRIPTS = {"P.S.": re.compile(r"p\.\s?s\."), "P.P.S": re.compile(r"p\.\s?p\.\s?s")}


def number_placeholders(text: str, *, num_placeholders: Count) -> bool:
    """There are at least so many placeholders such as `[address]`."""
    return len(_PLACEHOLDER.findall(text)) >= num_placeholders


def postscript(text: str, *, postscript_marker: Phrase) -> bool:
    """There is a postscript after its marker; `P.S.` and `P.P.S` may be written with spaces and in small letters."""
    pattern = _POSTSCRIPTS.get(postscript_marker.strip())
    lowered = text.lower()
    return bool(pattern.search(lowered)) if pattern else postscript_marker.strip().lower() in lowered


def number_bullet_lists(text: str, *, num_bullets: Count) -> bool:
    """There are exactly so many lines that start with `-`, or with one `*`, with something after it or on the next line."""
    lines = [line.lstrip() for line in text.split("\n")]
    count, is_taken = sum(line.startswith("-") for line in lines), False
    for number, line in enumerate(lines, 1):
        bare = line == "*" and number < len(lines)  # what follows it is then the next line, whatever that is
        starred = not is_taken and (bare or (line.startswith("*") and line[1:2] not in ("", "*")))
        count, is_taken = count + starred, starred and bare
    return count == num_bullets


def constrained_response(text: str) -> bool:
    """One of the three allowed answers is there."""
    return any(option in text for option in OPTIONS)


def number_highlighted_sections(text: str, *, num_highlights: Count) -> bool:
    """There are at least so many highlights, `*so*` or `**so**`, with something in them."""
    found = [*_HIGHLIGHT.findall(text), *_STRONG_HIGHLIGHT.findall(text)]
    return sum(bool(inner.strip()) for inner in found) >= num_highlights


def multiple_sections(text: str, *, section_spliter: Phrase, num_sections: Count) -> bool:
    """There are at least so many section marks with a number, such as `Section 1`."""
    pattern = rf"{re.escape(section_spliter.strip())}\s?\d+"
    return sum(1 for _ in re.finditer(pattern, text)) >= num_sections


def json_format(text: str) -> bool:
    """The whole text is JSON, in a code fence or not. Nesting too deep for the parser is not JSON."""
    inner = text.strip()
    for fence in _FENCES:
        inner = inner.removeprefix(fence)
    inner = inner.removesuffix("```").strip()
    try:
        json.loads(inner, parse_int=str, parse_float=str)  # numbers stay text: a long one is slow to convert
    except (ValueError, RecursionError):
        return False
    return True


def title(text: str) -> bool:
    """There is a title in double angular brackets, such as `<<poem of joy>>`."""
    return any(_has_title(line) for line in text.split("\n"))


def two_responses(text: str) -> bool:
    """There are two different answers with `******` between them."""
    parts = [part.strip() for part in text.split(RESPONSE_DIVIDER)]
    filled = [part for part in parts if part]
    return all(parts[1:-1]) and len(filled) == 2 and filled[0] != filled[1]


def repeat_prompt(text: str, *, prompt_to_repeat: Phrase) -> bool:
    """The text begins with the request, word for word; case is ignored."""
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(text: str, *, end_phrase: Phrase) -> bool:
    """The text ends with a phrase; case and double quotes around the text are ignored."""
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(text: str) -> bool:
    """The text is wrapped in double quotation marks."""
    inner = text.strip()
    return len(inner) > 1 and inner[0] == inner[-1] == '"'


def _has_title(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end - 2 and any(
        character not in "<>" and not character.isspace() for character in line[start:end]
    )
