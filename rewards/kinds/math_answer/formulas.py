r"""What a formula in a text looks like: between marks (`$...$`, `\\(...\\)`), or a run of terms that nothing marks.

reading.py and closing.py look for formulas with these patterns. All are linear in the text, and what repeats is bounded.
"""

import re

from rewards.kinds.math_answer.boxes import BOXES
from rewards.kinds.math_answer.notation import NUMBER_PATTERN as _NUMBER

SPAN = re.compile(
    r"\$\$([^$]+)\$\$|(?<!\\)\$((?:[^$\n\\]|\\.)+)\$(?!\d)|\\\(((?:[^\\\n]|\\[^()\n])+)\\\)|\\\[((?:[^\\]|\\[^\[\]])+)\\\]"
)

_COMMAND = r"\\[A-Za-z]+(?:\[[^\[\]]{0,9}\])?(?:\s{0,2}\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,99}\}){0,99}\}){0,200}\}){0,2}"
TERM = rf"(?:{_COMMAND}|{_NUMBER}|(?<![A-Za-z'’])[A-Za-z](?![A-Za-z])|[()\[\]{{}}|!]|[\^_](?:\d|[a-z])?)"
OPERATOR = r"(?:\s?[-+*/=<>^·×÷]\s?|\s(?=[\d\\(]))"
EQUATION = re.compile(
    rf"[A-Za-z](?:_\{{?\w{{1,9}}\}}?)?\s?=\s?[-+]?{TERM}{{1,40}}(?:{OPERATOR}[-+]?{TERM}{{1,40}}){{0,9}}"
)
EQUATION_AT_END = re.compile(rf"(?<![A-Za-z\\]){EQUATION.pattern}$")


def content(span: re.Match[str]) -> str:
    """What stands between the marks of a formula."""
    return next(group for group in span.groups() if group is not None).strip()


def listed_spans(rest: str) -> list[str]:
    """The formulas that are listed after one: `$1$ and $2$`."""
    found: list[str] = []
    while len(found) < BOXES and (joint := re.match(r"\s*(?:,|;|and\b|or\b|,\s*and\b)\s*", rest)):
        span = SPAN.match(rest, joint.end())
        if not span:
            break
        found.append(content(span))
        rest = rest[span.end() :]
    return found
