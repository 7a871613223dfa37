"""Constraints on which words, letters and marks a text holds, and on their case.

Keywords are found anywhere, inside longer words too; forbidden words only as whole words. Both ignore case.
"""

import re

from rewards.detection import is_in, scripts_of
from rewards.kinds.instruction.constraints.parameters import Character, Count, Language, Phrase, Relation, Words, holds

# Where nltk's word tokenizer, which the benchmark asks, cuts a text: white space and marks, but not hyphens, slashes, single
# full stops and, before digits, colons and commas. WELL-KNOWN, U.S.A. and AND/OR are one word each.
_CUT = re.compile(r"[\s;@#$%&?!*\[\](){}<>\"«»“”‘’„`‒–—―]|--|\.\.+|''|[:,](?!\d)")
# What it also cuts off: the ends of shortened words (DO N'T, I 'M), and the second half of a few that are written as one.
_SHORTENED = re.compile(r"(?<=[^'])('(?:[sSmMdD]|ll|LL|re|RE|ve|VE)|n't|N'T)\.?$")
_HALVES = re.compile(
    r"\b(can(?=not\b)|gim(?=me\b)|gon(?=na\b)|got(?=ta\b)|lem(?=me\b)|wan(?=na$)|d(?='ye\b)|more(?='n\b))", re.I
)


_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")  # Thai to Chinese


def existence(text: str, *, keywords: Words) -> bool:
    """Every keyword is there."""
    return all(_occurrences(text, keyword) for keyword in keywords)


def frequency(text: str, *, keyword: Phrase, frequency: Count, relation: Relation) -> bool:
    """A keyword is there less often than, or at least, so many times."""
    return holds(_occurrences(text, keyword.strip()), relation, frequency)


def forbidden_words(text: str, *, forbidden_words: Words) -> bool:
    """None of these words is there."""
    return not any(re.search(_whole(word), text, re.IGNORECASE) for word in forbidden_words)


def _whole(word: str) -> str:
    """A pattern for a word by itself. A sign at its end (`$5`, `C++`), or a script without spaces, ends it without more."""
    start, end = (
        r"\b" if (side.isalnum() and not _UNSPACED.match(side)) or side == "_" else "" for side in (word[:1], word[-1:])
    )
    return f"{start}{re.escape(word)}{end}"


def letter_frequency(text: str, *, letter: Character, let_frequency: Count, let_relation: Relation) -> bool:
    """A letter, in either case, or a mark is there less often than, or at least, so many times."""
    return holds(text.lower().count(letter.lower()), let_relation, let_frequency)


def capital_word_frequency(text: str, *, capital_frequency: Count, capital_relation: Relation) -> bool:
    """There are less than, or at least, so many words of capital letters alone; `I` and `A` are such words."""
    return holds(count_capital_words(text), capital_relation, capital_frequency)


def count_capital_words(text: str) -> int:
    """How many words have capital letters alone, where DON'T is two words and the NASA of NASA's one."""
    count = 0
    for piece in _CUT.split(text):
        if piece.islower() or not piece:
            continue
        stem, *end = _SHORTENED.split(piece)
        parts = [*_HALVES.sub(r"\1 ", stem).split(), *end]
        count += sum(part.isupper() for part in parts)
    return count


def english_capital(text: str) -> bool:
    """The text is English without small letters."""
    return text.isupper() and _may_be_in(text, "en")


def english_lowercase(text: str) -> bool:
    """The text is English without capital letters."""
    return text.islower() and _may_be_in(text, "en")


def no_comma(text: str) -> bool:
    """There is no comma."""
    return "," not in text


def response_language(text: str, *, language: Language) -> bool:
    """The text is in one language; a text too short to tell is, if it is in that language's script."""
    return _may_be_in(text, language)


def _occurrences(text: str, word: str) -> int:
    return sum(1 for _ in re.finditer(re.escape(word), text, re.IGNORECASE))


def _may_be_in(text: str, language: str) -> bool:
    """As the benchmark has it, a text whose language is unknown passes; one without letters does not."""
    return bool(scripts_of(text)) and is_in(text, language) is not False
