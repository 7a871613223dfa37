r"""Angles in degrees against angles in multiples of pi: `60^\circ` is `\frac{\pi}{3}`.

comparison.py asks here before it compares units. A number without pi says nothing of radians: 60 may be of degrees.
"""

import re

from rewards.kinds.math_answer import elementary

_DEGREES = re.compile(
    r"(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?:\^\s*(?:\\circ(?![A-Za-z])|\{\s*\\circ\s*\})(?!\s*(?:[CF]\b|\\text|\\mathrm))|(?:\\text\s*\{\s*)?degrees?\b\s*\}?)"
)
_RADIANS = re.compile(r"\s*(?:\\(?:text|mathrm)\s*\{\s*rad(?:ian)?s?\s*\}|\brad(?:ian)?s?\b)")
_FUNCTION = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")


def same_angles(reference: str, answer: str) -> bool:
    """Whether one text says in degrees what the other says in multiples of pi; lists and tuples of angles too."""
    for degrees, radians in ((reference, answer), (answer, reference)):
        if "\\pi" in radians and "\\pi" not in degrees and not _FUNCTION.search(reference + answer):
            converted, found = _DEGREES.subn(r"\\frac{\g<number>\\pi}{180}", degrees)
            if found:
                return elementary.settle(converted, _RADIANS.sub("", radians)) is True
    return False
