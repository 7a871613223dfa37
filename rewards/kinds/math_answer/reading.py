"""Reading a final answer out of text: where it stands, how it is written, how many answers it offers.

verifier.py decides with this what is right or wrong without a computer algebra system. Everything here is plain string
work in time linear in the text, since the text comes from a model: no evaluation, no parsing of mathematics.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

LOOK_BACK_CHARACTERS = 20_000  # how far from its end an answer is searched for
BOX_CHARACTERS = 5_000  # how long a box may be before it counts as never closed
BOXES = 20  # how many boxes are looked at, from the last

_NUMBER = r"[-+]?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\w.]))?"
_PLAIN = re.compile(rf"({_NUMBER})\s*(%|percent\b)?((?:\s+[A-Za-z]{{3,}}){{0,6}})")
# Words that change the number they follow, so that it is not a plain number with a unit.
_NOT_UNITS = frozenset(
    [
        "hundred",
        "thousand",
        "million",
        "billion",
        "trillion",
        "dozen",
        "dozens",
        "score",
        "percent",
        "half",
        "squared",
        "cubed",
        "factorial",
        "and",
        "not",
        "plus",
        "minus",
        "times",
        "over",
        "less",
        "more",
        "most",
        "least",
        "than",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "log",
        "exp",
        "pi",
    ]
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*(?=\{)")
_MARKER = re.compile(r"(?:\banswer(?:\*\*)?\s*(?:is\b|:|=)\s*:?|####)\s*(?:\*\*)?", re.IGNORECASE)
_MATH_SPAN = re.compile(r"\$([^$\n]+)\$|\\\(([^\n]+?)\\\)|\\\[([^\n]+?)\\\]")
_BARE = rf"(?<![\w.^{{}}\\/]){_NUMBER}(?:\s?/\s?\d+)?%?(?![\w{{}}^/]|\.\d)"
_NUMBERS = re.compile(rf"{_BARE}(?:\s{{0,3}}(?:,|;|\bor\b|\band\b)\s{{0,3}}{_BARE})*")
_WRAPPER = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|mathit|operatorname)\s*\{([^{}]*)\}")
_SPACES = re.compile(r"(?<!\\)\\[;:, ]|\\q?quad\b|~")  # the lookbehind keeps a matrix's row ends
_MIXED = re.compile(r"(?<![\d.}])(\d+)\s+(\d+)\s*/\s*(\d+)")
_BASE = re.compile(r"(?<=\d)_\{?(\d+)\}?$")
_WORDS = re.compile(r"[A-Za-z]{4,}(?:[ '-][A-Za-z]+)*|yes|no|odd|true", re.IGNORECASE)
_JUXTAPOSED = re.compile(r"(?<![\w^])[-+]?\d[\d.]*\s+(?=[-+]?\d)")
_REWRITES = (
    (re.compile(r"(?<=\d)(?:,\s*\\!|\\,|\{,\})\s*(?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\!|\\left(?![a-z])|\\right(?![a-z])|\\?[$£€]|\\displaystyle\b"), ""),
    (_SPACES, " "),
    (re.compile(r"\\[dtc]frac"), r"\\frac"),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"√\s*(\d+)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\A-Za-z])pi(?![A-Za-z])|π"), r"\\pi "),
    (_MIXED, r"\1\\frac{\2}{\3}"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class PlainNumber:
    """A decimal number, and whether a percent sign followed it."""

    value: Decimal
    percent: bool

    def matches(self, other: "PlainNumber") -> bool:
        """Equal values. Where one has a percent sign, 50% is both 50 (the sign was left out) and 0.5."""
        if self.value == other.value:
            return True
        if self.percent == other.percent:
            return False
        percent, plain = (self, other) if self.percent else (other, self)
        return percent.value == plain.value * 100


def final_answer(text: str, require_boxed: bool = False) -> str | None:
    """The final answer that text gives: its last box; else what follows its last "answer is" or "####"; else its last
    number (with the whole list it stands in). None when there is none; an empty last box is none.
    """
    text = text[-LOOK_BACK_CHARACTERS:]
    box = last_box(text)
    if box is not None or require_boxed:
        return box or None
    markers = list(_MARKER.finditer(text))
    if markers:
        lines = text[markers[-1].end() :].strip().splitlines()
        return _from_sentence(lines[0]) if lines else None
    numbers = _NUMBERS.findall(text)
    return numbers[-1] if numbers else None


def last_box(text: str) -> str | None:
    r"""What stands in the last closed \boxed{...}; None without one."""
    for box in reversed(list(_BOX.finditer(text))[-BOXES:]):
        depth = 0
        for position in range(box.end(), min(len(text), box.end() + BOX_CHARACTERS)):
            if text[position] in "{}" and text[position - 1] != "\\":
                depth += 1 if text[position] == "{" else -1
                if depth == 0:
                    return text[box.end() + 1 : position].strip()
    return None


def _from_sentence(line: str) -> str | None:
    """The answer in the rest of a line that announced one."""
    line = line.strip().strip("*`")
    span = _MATH_SPAN.match(line)
    if span:
        return next(group for group in span.groups() if group is not None).strip()
    sentence = re.split(r"\.(?:\s|$)", line, maxsplit=1)[0].strip()
    numbers = _NUMBERS.findall(sentence)
    # A number inside a sentence is the answer only if it is the only one, and no word after it changes it.
    if len(numbers) == 1 and re.search(r"(?<!\\)\b[A-Za-z]{3,}", sentence):
        after = set(re.findall(r"[a-z]+", sentence.partition(numbers[0])[2].lower()))
        return sentence if after & _NOT_UNITS else numbers[0]
    return sentence or None


def normalise(text: str) -> str:
    """An answer with its typesetting and decoration removed: spacing, currency, bold, a trailing full stop."""
    text = text.strip().strip("`").strip()
    if text.startswith("**") and text.endswith("**"):
        text = text[2:-2]
    span = _MATH_SPAN.fullmatch(text)
    if span:
        text = next(group for group in span.groups() if group is not None)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip().rstrip(".,;:").strip()


def plain_number(text: str) -> PlainNumber | None:
    """A normalised text that is a decimal number, alone or with a unit in words; None for anything else."""
    found = _PLAIN.fullmatch(text)
    if not found or _NOT_UNITS & set(found.group(3).lower().split()):
        return None
    return PlainNumber(Decimal(found.group(1).replace(",", "")), percent=found.group(2) is not None)


def compact(text: str) -> str:
    """A normalised text without text commands and spaces: two answers that agree here are the same answer."""
    return re.sub(r"\s+", "", unwrapped(text))


def unwrapped(text: str) -> str:
    r"""A text with \text{...} and its kin replaced by what they hold."""
    return _WRAPPER.sub(r"\1", text)


def words(text: str) -> str | None:
    r"""A normalised text that is words rather than mathematics, without case; None otherwise. \text{...} says words."""
    plain = unwrapped(text).strip()
    wrapped = _WRAPPER.fullmatch(text) is not None and re.fullmatch(r"[A-Za-z][A-Za-z '-]+", plain) is not None
    return plain.casefold() if wrapped or _WORDS.fullmatch(plain) else None


def base(text: str) -> str | None:
    """The base that a number is written in, from its subscript."""
    found = _BASE.search(text)
    return found.group(1) if found else None


def answers_offered(text: str) -> int:
    """How many values a normalised answer lists, so that an answer which lists every candidate is not accepted."""
    if "\\begin" in text:
        return 1
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", unwrapped(text)).strip()
    text = re.sub(r"\\[{}]", lambda brace: "(" if brace.group() == "\\{" else ")", text)
    if text[:1] in ("(", "[") and _closing(text) == len(text) - 1:
        text = text[1:-1]
    pieces = _split_at_top(re.sub(r"\b(?:or|and)\b|\\(?:lor|land|vee|wedge)\b", ",", text))
    return sum((2 if "\\pm" in piece or "\\mp" in piece else 1) + len(_JUXTAPOSED.findall(piece)) for piece in pieces)


def _closing(text: str) -> int:
    """Where the bracket that opens a text closes; -1 when it does not."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return position
    return -1


def _split_at_top(text: str) -> list[str]:
    """The pieces between commas and semicolons that stand outside every bracket."""
    pieces, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece for piece in pieces if piece.strip()]
