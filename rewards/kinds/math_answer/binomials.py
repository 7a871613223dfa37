r"""Binomial coefficients in the notations that people have for them, as `\binom{n}{k}`.

notation.py asks here. `C(5,2)` is left as it is, since it may be a point.
"""

import re

_TERM = r"[A-Za-z0-9+* -]{1,20}"
_BARE = r"(?:\{\s*([^{}]{1,20}?)\s*\}|([A-Za-z0-9]))"  # one argument of a command, in braces or one character
_LOW, _HIGH = r"_\s*(?:\{(\d{1,6})\}|(\d{1,6}))", r"\^\s*(?:\{(\d{1,6})\}|(\d{1,6}))"
_CHOOSE = re.compile(rf"\{{({_TERM})\\choose(?![A-Za-z])({_TERM})\}}")
_CHOOSE_ALONE = re.compile(rf"({_TERM})\\choose(?![A-Za-z])({_TERM})")
_COMMAND = re.compile(rf"\\binom\s*{_BARE}\s*{_BARE}")
# `{}_5C_2`, `^5C_2`, `C_5^2` and `C^2_5`, with numbers alone: letters with such marks are more often names.
_MARKED = (
    re.compile(rf"(?:\{{\}}|(?<![\w)}}]))(?:{_LOW}|{_HIGH})\s*C\s*{_LOW}"),
    re.compile(rf"(?<![A-Za-z\\])C\s*{_LOW}\s*{_HIGH}"),
    re.compile(rf"(?<![A-Za-z\\])C\s*{_HIGH}\s*{_LOW}"),
)


def with_binomials(text: str) -> str:
    r"""A text whose binomial coefficients are written `\binom{n}{k}`."""
    if "\\choose" in text:
        text = _CHOOSE.sub(_written, text)
        if alone := _CHOOSE_ALONE.fullmatch(text.strip()):
            text = _written(alone)
    if "\\binom" in text:
        text = _COMMAND.sub(_written, text)
    if "C" in text and "_" in text:
        before, lower_first, upper_first = _MARKED
        text = upper_first.sub(_reversed, lower_first.sub(_written, before.sub(_written, text)))
    return text


def _written(found: re.Match[str]) -> str:
    above, below = (group.strip() for group in found.groups() if group is not None)
    return rf"\binom{{{above}}}{{{below}}}"


def _reversed(found: re.Match[str]) -> str:
    below, above = (group for group in found.groups() if group is not None)
    return rf"\binom{{{above}}}{{{below}}}"
