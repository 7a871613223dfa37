"""Constraints on how long a text is: its words, sentences and paragraphs."""

import re

from rewards.constraints.parameters import Count, Phrase, Relation, holds

# The end of a sentence: marks, then closing quotes or brackets, then white space or the end. East Asian and Indic marks
# need no white space. Every quantifier is possessive and no run of marks is entered in its middle, so it is linear.
_END = re.compile(
    r"(?<![.!?…])(?P<marks>[.!?…]++)[\"'”’»)\]*_]*+(?=\s|\Z)"
    r"|(?<![。！？।॥؟۔])[。！？।॥؟۔]++[」』”’\")]*+"
)
_BLANK = re.compile(r"\s*+")
_HAS_WORD = re.compile(r"\w")
_WORD = re.compile(r"\w+")
# A sentence never ends after these; after the others it may, where a capital letter follows.
_TITLES_AND_LINKS = "mr mrs ms dr prof st gen col capt lt rev hon e.g i.e cf vs fig"
_OTHERS = "sr jr etc al approx dept est inc ltd co corp no vol a.m p.m u.s u.k ph.d jan feb mar apr jun jul aug sep sept oct nov dec"
_NEVER_LAST = frozenset(_TITLES_AND_LINKS.split())
_SELDOM_LAST = frozenset(_OTHERS.split())
_LONGEST_ABBREVIATION = 8  # characters
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


def count_sentences(text: str) -> int:
    """How many sentences a text has. Line breaks alone end none; a piece without letters or digits is none.

    The benchmark asks nltk's trained punkt model, which has to be downloaded. They may differ at abbreviations that
    are not in the list here, at initials, at list markers (`1.` alone is no sentence here) and in languages with marks
    of their own, which punkt's English model does not know.
    """
    count, start, has_word = 0, 0, False
    for end in _END.finditer(text):
        has_word = has_word or bool(_HAS_WORD.search(text, start, end.end()))
        start = end.end()
        if has_word and _ends_sentence(text, end):
            count, has_word = count + 1, False
    return count + (has_word or bool(_HAS_WORD.search(text, start)))


def _ends_sentence(text: str, end: re.Match[str]) -> bool:
    """Whether a mark ends a sentence: not after an abbreviation, an initial or a list's number, nor mid-sentence."""
    if end["marks"] not in (".", "...", "…"):
        return True
    after = _BLANK.match(text, end.end())
    following = text[after.end() : after.end() + 1] if after else ""
    if following.islower():
        return False
    if end["marks"] != "." or not following:
        return True
    before = text[max(0, end.start() - _LONGEST_ABBREVIATION - 1) : end.start()]
    word = re.split(r"[\s(\[]", before)[-1].lower()
    if word.isdigit():  # `1.` at the start of a line numbers a list
        return bool(before[: -len(word)].rstrip(" \t")) and not before[: -len(word)].rstrip(" \t").endswith("\n")
    initial = len(word) == 1 and word.isalpha() and word != "i"
    return not (word in _NEVER_LAST or initial or (word in _SELDOM_LAST and not following.isupper()))


def _bare(word: str) -> str:
    """A word in small letters, without quotes before it and without what follows its first mark."""
    bare = word.lstrip("'").lstrip('"').lower()
    end = next((place for place, character in enumerate(bare) if character in _WORD_ENDS), len(bare))
    return bare[:end]
