"""Constraints on how long a text is: its words, sentences and paragraphs."""

import re

from rewards.kinds.instruction.constraints.parameters import Count, Phrase, Relation, holds
from rewards.kinds.instruction.constraints.sentences import count_sentences

_WORD = re.compile(r"\w+")
_WORD_ENDS = frozenset(".,?!'\"")


def number_words(text: str, *, num_words: Count, relation: Relation) -> bool:
    """There are less than, or at least, so many words: runs of letters, digits and underscores."""
    return holds(sum(1 for _ in _WORD.finditer(text)), relation, num_words)


def number_sentences(text: str, *, num_sentences: Count, relation: Relation) -> bool:
    """There are less than, or at least, so many sentences."""
    return holds(count_sentences(text), relation, num_sentences)


def number_paragraphs(text: str, *, num_paragraphs: Count) -> bool:
    """There are exactly so many paragraphs between dividers `***`, and none of them is empty."""
    paragraphs = [bool(paragraph.strip()) for paragraph in text.split("***")]
    return all(paragraphs[1:-1]) and sum(paragraphs) == num_paragraphs


def nth_paragraph_first_word(text: str, *, num_paragraphs: Count, nth_paragraph: Count, first_word: Phrase) -> bool:
    """There are so many paragraphs between blank lines, and one of them, counted from 1, begins with a word."""
    paragraphs = text.split("\n\n")
    count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
    if count != num_paragraphs or not 1 <= nth_paragraph <= count:
        return False
    words = paragraphs[nth_paragraph - 1].split(maxsplit=1)
    return bool(words) and _bare(words[0]) == first_word.lower()


def _bare(word: str) -> str:
    """A word in small letters, without quotes before it and without what follows its first mark."""
    bare = word.lstrip("'").lstrip('"').lower()
    end = next((place for place, character in enumerate(bare) if character in _WORD_ENDS), len(bare))
    return bare[:end]
