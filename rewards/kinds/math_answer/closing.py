r"""How a text closes that announces no answer: an option, values that are listed, a value said twice, a value in words.

reading.py asks here before and after it looks for the last formula or number. Only the last line or sentence is read, and
each pattern is linear in it.
"""

import re

from rewards.kinds.math_answer.boxes import NEGATED
from rewards.kinds.math_answer.formulas import EQUATION, EQUATION_AT_END, SPAN, content, listed_spans
from rewards.kinds.math_answer.notation import NUMBER_PATTERN as _NUMBER
from rewards.kinds.math_answer.notation import normalise
from rewards.kinds.math_answer.quantities import measured
from rewards.kinds.math_answer.sentences import said_in
from rewards.kinds.math_answer.sets import known_set

LOOKED_AT_CHARACTERS = 300  # of the last line

_CORRECT_OPTION = re.compile(
    r"\b(?:option|choice|answer)\s*\**\(?([A-Z])\)?\**\s+is\s+(?:the\s+)?(?:correct|right)\b", re.IGNORECASE
)
_OPTION_LINE = re.compile(r"\**(?:(?:option|choice)\s+)?(?:\([A-H]\)|[A-H][).:])\**\s+(?=\S)", re.IGNORECASE)
_SAID_AGAIN = re.compile(
    rf"(?<![\w.,])({_NUMBER}(?: [a-z]{{1,12}})?) \((?:(?:or|about|i\.e\.,?|=) )?({_NUMBER}(?: [a-z]{{1,12}})?)\)"
)
_BUT_NOT = re.compile(
    r"(?:(?<=[\d})$%]),?|(?<=\w),)\s+(?:and\s+)?(?:not|rather than|instead of)\s+(?:\$|\\\()?[-−]?\d[^\n.]{0,80}"
)
_SPACED_MINUS = re.compile(r"(\b(?:is|are|equals|be)|=)\s+[-−–]\s+(?=[\d.\\√])")
_JOINED = re.compile(r",?\s+(?:and|or)\s+")
_RELATION = re.compile(r"[=<>]|\\(?:leq?|geq?|in|neq?|approx)(?![A-Za-z])")  # what is said of an unknown, twice
_ENDS_WITH_LINES = re.compile(
    r"\\end\{((?:align|gather|eqnarray|multline|split)(?:ed)?\*?)\}\s*(?:\$\$|\\\]|\$)?[\s.]*$"
)
_NEW_LINE = re.compile(r"\\\\(?:\[[^\[\]]{0,9}\])?\s*(?=\n|&)")
_YES_OR_NO = re.compile(r"\**(yes|no|true|false)\b\**\s*(?:[.,;:!]|$)", re.IGNORECASE)
_OPENING = re.compile(r"(?:therefore|thus|so|hence|then)\b[\s,]*", re.IGNORECASE)


def chosen_option(text: str) -> str | None:
    """The letter that a text calls correct, or the option that is its last line, if that is not one of a list of options."""
    chosen = _CORRECT_OPTION.search(text)
    if chosen and not NEGATED.search(text[: chosen.start()][-40:]):
        return chosen[1].upper()
    before, _, last = text.rstrip().rpartition("\n")
    last = last.strip()
    if len(last) > LOOKED_AT_CHARACTERS or not _OPTION_LINE.match(last):
        return None
    earlier = before.rstrip().rpartition("\n")[2].strip()
    return None if _OPTION_LINE.match(earlier) else last.replace("**", "")


def listed_at_the_end(text: str, values: int) -> str | None:
    """The equations or formulas that a text's last line, or its last lines, list: exactly so many values, with words before.

    Where one value is wanted, two formulas with `and` between them are two answers.
    """
    if values < 2:
        return _two_formulas(text)
    lines = [line for line in text.rstrip(" .$\n").rsplit("\n", maxsplit=3 * values) if line.strip()]
    line = lines[-1][-LOOKED_AT_CHARACTERS:] if lines else ""
    below = [one.strip(" ,.;$") for one in lines[-values:]]
    for pieces in (re.split(r",|;|\b(?:and|or)\b", line.replace("$", "")), below):
        listed = [piece.strip() for piece in pieces]
        first = EQUATION_AT_END.search(listed[0]) if len(listed) == values else None
        if first is not None and all(EQUATION.fullmatch(piece) for piece in listed[1:]):
            return ", ".join([first[0], *listed[1:]])
    span = SPAN.search(text.rstrip()[-LOOKED_AT_CHARACTERS:].rpartition("\n")[2])
    formulas = [content(span), *listed_spans(span.string[span.end() :])] if span else []
    if span is None or len(formulas) != values or NEGATED.search(span.string[: span.start()]):
        return None
    # What is said of an unknown twice is one answer: `2 \\le x \\le 7`, or `x \\in [2,7]`.
    return None if any(_RELATION.search(one.replace("=", "")) for one in formulas) else ", ".join(formulas)


def _two_formulas(text: str) -> str | None:
    """The last two formulas of a text where `and` or `or` joins them, which are two answers: `$1$ and $2$`."""
    spans = list(SPAN.finditer(text.rstrip()[-LOOKED_AT_CHARACTERS:]))[-2:]
    if len(spans) < 2 or not _JOINED.fullmatch(spans[0].string[spans[0].end() : spans[1].start()]):
        return None
    values = [content(span) for span in spans]
    closes = not any(sign.isdigit() for sign in spans[1].string[spans[1].end() :])
    return ", ".join(values) if closes and not any(map(_RELATION.search, values)) else None


def result_of_lines(text: str) -> str | None:
    r"""What a computation over several lines comes to that ends a text: the right side of the last line of an `align*`."""
    end = _ENDS_WITH_LINES.search(text[-LOOKED_AT_CHARACTERS:])
    start = text.rfind(rf"\begin{{{end[1]}}}") if end else -1
    if end is None or start < 0:
        return None
    body = text[start:].partition("}")[2].rpartition(r"\end{")[0].rstrip()
    last = _NEW_LINE.split(body.removesuffix("\\\\").rstrip())[-1]
    return re.split(r"=|\\equiv(?![A-Za-z])|\\approx(?![A-Za-z])", last)[-1].replace("&", " ").strip(" .,;\n") or None


def said_once(text: str) -> str:
    """A text without what says its last value again or denies another: `144 minutes (2.4 hours)`, `13, not 12`, `is - 1`."""
    text = _SPACED_MINUS.sub(r"\1 -", text)
    if "not " in text or " rather " in text or "instead" in text:
        text = _BUT_NOT.sub("", text)
    return _SAID_AGAIN.sub(_first_if_equal, text) if ")" in text else text


def _first_if_equal(found: re.Match[str]) -> str:
    first, second = measured(normalise(found[1])), measured(normalise(found[2]))
    return found[1] if first is not None and second is not None and first.matches(second) else found[0]


def said_in_words(text: str) -> str | None:
    """What a short text's last sentence says without a digit or a formula: yes or no, no solution, a number in words."""
    line = text.strip().rpartition("\n")[2].strip()
    if len(line) > LOOKED_AT_CHARACTERS:
        return None
    if found := _YES_OR_NO.match(line):
        return found[1]
    sentence = _OPENING.sub("", re.split(r"(?<=[.!])\s+", line)[-1], count=1).strip(" *")
    if known_set(normalise(sentence)) is not None:
        return sentence
    said = said_in(sentence)
    return said if said is not None and measured(normalise(said)) is not None else None
