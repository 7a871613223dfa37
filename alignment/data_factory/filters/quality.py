"""Quality rules for what an assistant wrote, after the rules that pre-training corpora are filtered by.

Gopher (arXiv 2112.11446, appendix A1.1), C4 (arXiv 1910.10683, section 2.2) and FineWeb (arXiv 2406.17557, section 3.6) state
them for web pages. Here a text is one part of a turn, thinking or answer, without its code and formulas; rules that need
prose cannot tell of a short text, or of one in a script without spaces. Gopher's least fraction of words with letters and its
repeated 5- to 10-grams are left out: they find worked mathematics. Neighbours: personal_data.py, classified.py, check.py.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from alignment.data.rows import Conversation
from alignment.data_factory.filters.check import SOUND, Check, Finding
from rewards.kinds.language import FENCE, prose

FEWEST_WORDS = 50  # of prose, for rules on fractions of it: Gopher's least length of a document
NGRAM_WORDS = (
    200  # of prose, for the most frequent n-gram: a worked solution of a page names its things again and again
)
FEWEST_LINES = 8  # for rules on fractions of lines
TOP_NGRAMS = {2: 0.20, 3: 0.18, 4: 0.16}  # most characters in the most frequent n-gram (Gopher, table A1)
_BLOCKS = (("$$", "$$"), ("\\[", "\\]"), ("\\(", "\\)"))  # of formulas
_ENVIRONMENT = re.compile(r"\\(begin|end)\{(\w{1,30}\*?)\}")
LONGEST_PAGE_LINE = 200  # characters
_PAGE_LINE = re.compile(
    r"\W*(?:(?:accept (?:all )?)?cookies?(?: policy)?|privacy policy|terms of (?:use|service)|skip to (?:main )?content|read more"
    r"|sign (?:in|up)|log ?in|share (?:this|on \w+)|subscribe(?: to our newsletter)?|all rights reserved|leave a (?:comment|reply)"
    r"|(?:please )?enable javascript.*|javascript (?:is|must be) .*|copyright (?:©|\(c\)).*|©.*\d{4}.*)\W*",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(r"(?:…|\.\.\.)\s*$")
# Decoded with the wrong code page: UTF-8 read as Windows-1252, as ftfy finds it, or bytes that are no text.
_DAMAGED = re.compile(
    r"\ufffd|[\u0080-\u0084\u0086-\u009f]|â€[\u0080-\u2122]|[ÃÂ][\u00a0-\u00bf]|[\x00-\x08\x0b\x0c\x0e-\x1f]"
)
_UNFINISHED = re.compile(
    r"(?:\b(?:and|or|but|the|a|an|of|to|with|because|so|if|that|which|is|are|in|for)|[,;({\[–])\s*$", re.I
)


@dataclass(frozen=True)
class Text:
    """Thinking or content of one assistant turn, its prose, and whether it is the last content of its conversation."""

    whole: str
    prose: str
    last: bool

    @property
    def words(self) -> list[str]:
        """The words of its prose."""
        return self.prose.split()

    @property
    def lines(self) -> list[str]:
        """The lines outside code that are not empty, formulas included: two that differ by a formula are two."""
        return [line.strip() for line in _outside_code(self.whole).splitlines() if line.strip()]


@dataclass(frozen=True)
class Rule:
    """A rule for one text: its name, what it says, and how it judges."""

    name: str
    sentence: str
    judge: Callable[[Text], Finding]


UNTOLD = Finding(None, "too short to tell")


def texts_of(row: Conversation) -> list[Text]:
    """What an assistant wrote in a conversation, part by part."""
    found = [
        (str(turn[key]), turn is row.messages[-1] and key == "content")
        for turn in row.messages
        if turn.get("role") == "assistant"
        for key in ("reasoning_content", "content")
        if turn.get(key)
    ]
    return [Text(whole, _prose(whole), last) for whole, last in found]


def _outside_code(text: str) -> str:
    """A text without fenced code and drawings."""
    return _without("\n".join(text.split(FENCE)[::2]), "[asy]", "[/asy]")


def _prose(text: str) -> str:
    """A text without code, drawings and formulas."""
    found = _outside_code(text)
    for opening, closing in _BLOCKS:
        found = _without(found, opening, closing)
    return prose(_without_environments(found))


def _without(text: str, opening: str, closing: str) -> str:
    """A text without what stands between two marks; linear in its length, also where nothing is closed."""
    parts, place = [], 0
    while (start := text.find(opening, place)) >= 0 and (end := text.find(closing, start + len(opening))) >= 0:
        parts.append(text[place:start])
        place = end + len(closing)
    return " ".join([*parts, text[place:]])


def _without_environments(text: str) -> str:
    """A text without LaTeX's environments, of which the outermost counts."""
    parts, place, opened = [], 0, None
    for mark in _ENVIRONMENT.finditer(text):
        if opened is None and mark[1] == "begin":
            opened = mark
        elif opened is not None and mark[1] == "end" and mark[2] == opened[2]:
            parts.append(text[place : opened.start()])
            place, opened = mark.end(), None
    return " ".join([*parts, text[place:]])


def quality_checks(names: Sequence[str], least_words: int, most_words: int) -> list[Check[Conversation]]:
    """The named rules as checks of rows: a row is at fault if one of its texts is, and unknown if none can be told."""
    said = f"the last answer has fewer than {least_words:,} words, or with its thinking more than {most_words:,}"
    checks = {rule.name: Check(rule.name, rule.sentence, _judged_by(rule)) for rule in RULES}
    checks["length"] = Check("length", said, lambda rows: [_length(row, least_words, most_words) for row in rows])
    return [checks[name] for name in names if name in checks]


def _judged_by(rule: Rule) -> Callable[[Sequence[Conversation]], list[Finding]]:
    return lambda rows: [_worst([rule.judge(text) for text in texts_of(row)]) for row in rows]


def _worst(findings: Sequence[Finding]) -> Finding:
    """The first fault; else that nothing could be told, where nothing could."""
    fault = next((one for one in findings if one.at_fault), None)
    return fault or (SOUND if any(one.at_fault is False for one in findings) else UNTOLD)


def _length(row: Conversation, least: int, most: int) -> Finding:
    last = row.messages[-1]
    answer = len(str(last.get("content") or "").split())
    whole = answer + len(str(last.get("reasoning_content") or "").split())
    if (answer < least and not last.get("tool_calls")) or whole > most:
        return Finding(True, f"{answer:,} words of answer, {whole:,} with its thinking")
    return SOUND


def _is_short(text: Text) -> bool:
    """Whether there is too little prose for a fraction of it, or no spaces between its words."""
    words = text.words
    return len(words) < FEWEST_WORDS or len(text.prose) > 20 * len(words)


def _word_length(text: Text) -> Finding:
    words = [word for word in text.words if any(map(str.isalpha, word))]
    if len(words) < FEWEST_WORDS or _is_short(text):
        return UNTOLD
    mean = sum(map(len, words)) / len(words)
    return SOUND if 3 <= mean <= 10 else Finding(True, f"its words have {mean:.1f} characters in the mean")


def _symbols(text: Text) -> Finding:
    if _is_short(text):
        return UNTOLD
    marks = text.prose.count("#") + text.prose.count("…") + text.prose.count("...")
    fraction = marks / len(text.words)
    return SOUND if fraction <= 0.1 else Finding(True, f"{marks} hash signs and ellipses in {len(text.words)} words")


def _ellipses(text: Text) -> Finding:
    lines = text.lines
    if len(lines) < FEWEST_LINES:
        return UNTOLD
    fraction = sum(bool(_ELLIPSIS.search(line)) for line in lines) / len(lines)
    return SOUND if fraction <= 0.3 else Finding(True, f"{fraction:.0%} of its lines end with an ellipsis")


def _repeated_lines(text: Text) -> Finding:
    lines = [line for line in text.lines if any(map(str.isalpha, line))]
    if len(lines) < FEWEST_LINES:
        return UNTOLD
    again = [line for line, times in Counter(lines).items() for _ in range(times - 1)]
    of_lines, of_characters = len(again) / len(lines), sum(map(len, again)) / sum(map(len, lines))
    if of_lines > 0.3 or of_characters > 0.2:
        return Finding(True, f"{of_lines:.0%} of its lines and {of_characters:.0%} of their characters stood before")
    return SOUND


def _frequent_ngram(text: Text) -> Finding:
    words = text.words
    if len(words) < NGRAM_WORDS or _is_short(text):
        return UNTOLD
    total = sum(map(len, words))
    for size, most in TOP_NGRAMS.items():
        gram, times = Counter(_ngrams(words, size)).most_common(1)[0]
        fraction = times * sum(map(len, gram)) / total
        if times > 2 and fraction > most:
            return Finding(True, f"{fraction:.0%} of its characters are “{' '.join(gram)}”")
    return SOUND


def _ngrams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)


def _page_remains(text: Text) -> Finding:
    if "lorem ipsum" in text.prose.lower():
        return Finding(True, "it has the placeholder text “lorem ipsum”")
    line = next((line for line in text.lines if len(line) <= LONGEST_PAGE_LINE and _PAGE_LINE.fullmatch(line)), None)
    return SOUND if line is None else Finding(True, f"the line “{line[:80]}”")


def _cut_off(text: Text) -> Finding:
    if not text.last:
        return SOUND
    if text.whole.count(FENCE) % 2:
        return Finding(True, "a block of code is not closed")
    if _open_box(text.whole):
        return Finding(True, r"a \boxed{ is not closed")
    ending = text.whole.rstrip()[-40:]
    return Finding(True, f"it ends with “{ending}”") if _UNFINISHED.search(ending) else SOUND


def _open_box(text: str) -> bool:
    """Whether the last box of a text has more braces that open than that close."""
    _, found, inside = text.rpartition("\\boxed{")
    depth = 1
    for sign in inside if found else "}":
        depth += (sign == "{") - (sign == "}")
        if depth == 0:
            return False
    return True


def _damaged(text: Text) -> Finding:
    found = _DAMAGED.search(text.whole)
    if found is None:
        return SOUND
    around = text.whole[max(0, found.start() - 10) : found.end() + 10]
    return Finding(True, f"damaged characters: {around!a}")


RULES = (
    Rule("word_length", "words of prose have fewer than 3 or more than 10 characters in the mean (Gopher)", _word_length),
    Rule("symbols", "more than one hash sign or ellipsis to ten words of prose (Gopher)", _symbols),
    Rule("ellipsis_lines", "more than three tenths of the lines end with an ellipsis (Gopher)", _ellipses),
    Rule("repeated_lines", "three tenths of the lines, or a fifth of their characters, stood before (Gopher)", _repeated_lines),
    Rule("frequent_ngram", "one 2-, 3- or 4-gram makes up more than 0.20, 0.18 or 0.16 of the characters of the prose (Gopher, table A1)", _frequent_ngram),
    Rule("page_remains", "“lorem ipsum”, or a line that is a page's and no sentence's: cookies, terms, sign in (C4)", _page_remains),
    Rule("cut_off", "the last answer ends within a sentence, a block of code or a box (after C4's and FineWeb's last punctuation mark)", _cut_off),
    Rule("damaged_characters", "text decoded by another code page than it was written in, or control characters", _damaged),
)  # fmt: skip
