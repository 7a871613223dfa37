r"""What is seen of a text before anything is computed: whether that would cost too much, and how many answers it offers.

verifier.py refuses by these, so that an answer can neither keep a grader busy nor list every candidate.
"""

import re

from rewards.kinds.math_answer.brackets import compact, top_level, unwrapped

_COSTLY = re.compile(
    r"(?:\\exp.*){3}|\d{4,}[)}\s]*!|!\s*!\s*!|\^\s*\{?\s*[-+]?\(?\d{4,}|\d[eE][-+]?\d{4,}|(?:[-+]\s*){20}|(?:\\int.*){3}|(?:\\(?:sum|prod|binom|int|lim).*){5}",
    re.DOTALL,
)
_REPEATED = re.compile(r"\\(?:sum|prod|binom|lim|int)(?![A-Za-z])")
_LARGE = re.compile(r"\d{5,}")
_MOST_POWERS, _MOST_COMMANDS, _DEEPEST = 25, 60, 25
_JUXTAPOSED = re.compile(r"(?<![\w^])[-+]?\d[\d.]*\s+(?=[-+]?\d)")


def is_costly(text: str) -> bool:
    """Whether computing a text could take longer than an answer is worth, as far as can be seen without doing so."""
    if _COSTLY.search(text) or text.count("^") > _MOST_POWERS or text.count("\\") > _MOST_COMMANDS:
        return True
    if _REPEATED.search(text) and _LARGE.search(text.replace(",", "")):
        return True
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return deepest > _DEEPEST


def answers_offered(text: str) -> int:
    """How many values a normalised answer lists, so that an answer which lists every candidate is not accepted."""
    if "\\begin" in text:
        return 1
    text = unwrapped(text).strip()
    text = re.sub(r"\\[{}]", lambda brace: "(" if brace.group() == "\\{" else ")", text)
    if text[:1] in ("(", "[") and _closing(text) == len(text) - 1:
        text = text[1:-1]
    else:
        text = re.sub(r"(?<![\d.])([1-9]\d{0,2}(?:,\d{3})+)(?!\d)", lambda found: found[1].replace(",", ""), text)
    pieces = top_level(re.sub(r"\b(?:or|and)\b|\\(?:lor|land|vee|wedge)\b", ",", text))
    pieces = list(dict.fromkeys(compact(piece) if "(" in piece else piece for piece in pieces))
    return sum((2 if "\\pm" in piece or "\\mp" in piece else 1) + len(_JUXTAPOSED.findall(piece)) for piece in pieces)


def _closing(text: str) -> int:
    """Where the bracket that opens a text closes; -1 when it does not."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position
    return -1
