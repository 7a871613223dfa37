"""Rows that repeat a test: the longest common token subsequence, behind an index of 13-grams.

The rule is Qwen3's and DeepSeek's kind of decontamination: a row goes where its longest common subsequence with a test has at
least 13 tokens and at least 0.6 of the shorter text. A test is compared only with rows that share 13 tokens in a row with it, or
ask exactly the same, which is also how tests shorter than 13 tokens are found. Neighbours: filters/ and the stage kinds that ask.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from alignment.data.generators.families import problem_key

GRAM = 13  # tokens of an index entry, and the shortest common subsequence that counts
FRACTION = 0.6  # of the shorter text
_TOKENS = re.compile(r"\d|[^\W\d_]+|[^\w\s]|_")


@dataclass(frozen=True)
class Match:
    """A test that a text repeats: its name, and the tokens they have in common, out of those of the shorter text."""

    test: str
    common: int
    shorter: int

    def __str__(self) -> str:
        return f"{self.common} of {self.shorter} tokens are those of {self.test}"


@dataclass
class TestIndex:
    """Tests by their 13-grams and by their whole question."""

    __test__ = False  # its name is no test's for pytest

    tokens: list[list[str]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    grams: dict[tuple[str, ...], list[int]] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tests: Iterable[tuple[str, str]], whole: Iterable[tuple[str, str]] = ()) -> "TestIndex":
        """An index of `(name, text)` pairs; texts of `whole` are found only where all of one is repeated."""
        index = cls()
        for name, text in tests:
            place = index._add(name, text)
            for gram in dict.fromkeys(_grams(index.tokens[place])):
                index.grams.setdefault(gram, []).append(place)
        for name, text in whole:
            index._add(name, text)
        return index

    def _add(self, name: str, text: str) -> int:
        """Add a test by its whole question; returns its place."""
        self.names.append(name)
        self.tokens.append(tokens_of(text))
        self.keys.setdefault(problem_key(text), len(self.names) - 1)
        return len(self.names) - 1

    def match(self, text: str) -> Match | None:
        """The first test that a text repeats, or None."""
        found, same = tokens_of(text), self.keys.get(problem_key(text))
        if same is not None:
            return Match(self.names[same], len(found), len(found))
        near = dict.fromkeys(place for gram in _grams(found) for place in self.grams.get(gram, ()))
        for place in near:
            shorter = min(len(found), len(self.tokens[place]))
            common = common_subsequence(found, self.tokens[place])
            if common >= max(GRAM, FRACTION * shorter):
                return Match(self.names[place], common, shorter)
        return None

    def __len__(self) -> int:
        return len(self.names)


def tokens_of(text: str) -> list[str]:
    """Words in lower case, digits one by one, and signs: `3.14 km` is 3 . 1 4 km."""
    return _TOKENS.findall(text.lower())


def common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, by bits: 64 cells of the table at once.

    Hyyrö, "Bit-parallel LCS-length computation revisited" (2004).
    """
    masks: dict[str, int] = {}
    for place, token in enumerate(first):
        masks[token] = masks.get(token, 0) | (1 << place)
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        matched = row & masks.get(token, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(first) - row.bit_count()


def _grams(tokens: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(GRAM)), strict=False)
