r"""Answers that are words, choices, dates or times: what is compared as it stands, and never computed.

comparison.py asks here. Neighbours: sets.py (words for sets), forms.py (everything that has a value).
"""

import re

from rewards.kinds.math_answer.brackets import is_wrapped, unwrapped

_IN_BRACKETS = re.compile(r"\s*\(\s*(?=\\(?:approx|doteq|simeq)(?![A-Za-z]))([^()]*)\)$")
_APPROXIMATELY = re.compile(r"\\approx(?![A-Za-z])|\\doteq(?![A-Za-z])|\\simeq(?![A-Za-z])")
_CHOICE = re.compile(r"\(?\s*([A-Z])\s*\)?[.:]?")
_CHOICE_WITH_TEXT = re.compile(
    r"(?:(?:option|choice|answer)\s+)?(?:\(\s*([A-Z])\s*\)|([A-Z])\s*[).:])\s*(?!\s*$)(.+)", re.DOTALL | re.IGNORECASE
)
_LITERAL = re.compile(
    r"\d+(?:\s*-\s*\d+)+(?: [A-Za-z]+)*|\d+(?:\.\d+){2,}|\d{1,2}(?::\d{2})?\s*[ap]\.?m\.?|\d+(?:\s*:\s*\d+){2,}|\d{1,4}/\d{1,2}/\d{1,4}"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}/\d{1,2}/\d{2,4}|\d+(?::\d+){2,}")
_TIME = re.compile(r"\d{1,2}:\d{2}")
_TIME_IN_HALF = re.compile(r"(\d{1,2}:\d{2})\s*[ap]\.?m\.?", re.IGNORECASE)
_ENDLESS = re.compile(r"\.\.\.|\\ldots|\betc\b")


def choice(text: str) -> str | None:
    """The letter of an answer that is a choice and nothing else: `B`, `(B)`, `B.`."""
    plain = unwrapped(text).strip() if "\\" in text else text
    found = _CHOICE.fullmatch(re.sub(r"^(?:option|choice)\s+(?=\(?[A-Z]\b)", "", plain, flags=re.IGNORECASE))
    return found[1] if found else None


def choice_with_text(text: str) -> tuple[str, str] | None:
    r"""The letter and the text of an option that is written out: `(B) 5`, `\textbf{(D)}\ 12`, `E: a score`."""
    if len(text) > 2000:
        return None
    found = _CHOICE_WITH_TEXT.fullmatch(unwrapped(text).strip())
    if not found or not (found[1] or found[2]).isupper():
        return None
    return found[1] or found[2], found[3].strip()


def is_literal(text: str) -> bool:
    """Whether a reference is a date, a score, a range or a telephone number, which is never computed."""
    return _LITERAL.fullmatch(unwrapped(text).casefold()) is not None and (text.count("/") != 1)


def is_time(text: str) -> bool:
    """Whether a reference is a time of day that does not say which half of it."""
    return _TIME.fullmatch(text) is not None


def without_half_of_day(text: str) -> str:
    """A time of day without its half: `4:30 PM` as `4:30`; anything else as it is."""
    found = _TIME_IN_HALF.fullmatch(unwrapped(text))
    return found[1] if found else text


def is_date(text: str) -> bool:
    """Whether an answer is written as a date or a proportion of three, which is not computed."""
    return _DATE.fullmatch(text) is not None


def is_endless(text: str) -> bool:
    """Whether a list goes on without saying how."""
    return _ENDLESS.search(text) is not None


def without_approximation(text: str) -> tuple[str, str | None]:
    """`a \\approx b` as a and b; None for b where a text has none."""
    if "approx" not in text and "doteq" not in text and "simeq" not in text:
        return text, None
    exact, *rounded = _APPROXIMATELY.split(_IN_BRACKETS.sub(r"\1", text))
    return exact.strip(), rounded[-1].strip() if rounded else None


def word_of(text: str) -> str | None:
    r"""A normalised text that is words rather than mathematics, without case; None otherwise. \text{...} says words."""
    plain = unwrapped(text).strip().rstrip(".!")
    wrapped = is_wrapped(text) and re.fullmatch(r"[A-Za-z][A-Za-z '-]+", plain) is not None
    return plain.casefold() if wrapped or _WORDS.fullmatch(plain) else None


_WORDS = re.compile(r"[A-Za-z]{4,}(?:[ '-][A-Za-z]+)*|yes|no|odd|true", re.IGNORECASE)
