"""Kind `repetition`: does a completion repeat itself, or run into a loop?

Two signs, each for the thinking and the answer: the share of n-grams that stood before in the same text, and the share
of the text that is one closing passage repeated three times or more. Units are words; characters where a script has no
spaces. Everything is linear in the length of the text.
"""

from collections.abc import Hashable, Sequence

from rewards.contract import THINK_CLOSE, THINK_OPEN, Rollout, Verdict
from rewards.detection import scripts_of

CHARACTERS_PER_WORD = 20  # where words are longer in the mean, there are no words
SPACELESS = frozenset(("han", "kana", "thai", "lao", "khmer", "myanmar"))
CHARACTERS_PER_UNIT = 2  # an n-gram of characters is so much longer than one of words
LOOP_TIMES = 3  # how often a closing passage stands before it is a loop
SHORTEST_LOOP = 12  # units; "no, no, no" is none


class Repetition:
    """Verifier of the kind `repetition`: 1.0 for no repetition, falling to 0.0.

    A share of repeated n-grams up to `threshold` is free, as notation and names recur in any derivation; from there the
    score falls to 0.0 at a share of 1. A loop costs the share of the text that it takes. The lower of the two counts,
    in the worse of thinking and answer.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, *, ngram_size: int = 4, threshold: float = 0.2) -> None:
        problem = self.option_problem(ngram_size=ngram_size, threshold=threshold)
        if problem is not None:
            raise ValueError(problem)
        self.ngram_size, self.threshold = ngram_size, threshold

    @staticmethod
    def option_problem(*, ngram_size: int = 4, threshold: float = 0.2) -> str | None:
        """Why options cannot work, or None when they can."""
        if ngram_size < 1:
            return f"ngram_size must be at least 1, not {ngram_size}"
        return None if 0 <= threshold < 1 else f"threshold must be from 0 to below 1, not {threshold}"

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per rollout. An empty completion scores 0: silence must not be the easy way."""
        return [self._judge(rollout) for rollout in rollouts]

    def close(self) -> None:
        """Nothing to end."""

    def _judge(self, rollout: Rollout) -> Verdict:
        texts = {"thinking": rollout.thinking, "answer": rollout.answer}
        parts = {name: text.replace(THINK_OPEN, " ").replace(THINK_CLOSE, " ") for name, text in texts.items()}
        parts = {name: text for name, text in parts.items() if text.strip()}
        if not parts:
            return Verdict(0.0, "empty")
        found = {name: self._shares(text) for name, text in parts.items()}
        worst = min(found, key=lambda name: self._score(*found[name]))
        repeated, looped = found[worst]
        score = self._score(repeated, looped)
        reason = "no_repetition" if score == 1.0 else "loop" if 1 - looped <= score else "repeated"
        return Verdict(score, reason, {"part": worst, "repeated": round(repeated, 4), "loop": round(looped, 4)})

    def _score(self, repeated: float, looped: float) -> float:
        excess = max(0.0, repeated - self.threshold) / (1 - self.threshold)
        return min(1 - excess, 1 - looped)

    def _shares(self, text: str) -> tuple[float, float]:
        """The share of repeated n-grams, and the share that is a closing loop."""
        words = text.lower().split()
        if len(text) > CHARACTERS_PER_WORD * len(words) or next(iter(scripts_of(text)), "") in SPACELESS:
            letters = "".join(words)
            return repeated_share(letters, self.ngram_size * CHARACTERS_PER_UNIT), loop_share(letters)
        return repeated_share(words, self.ngram_size), loop_share(words)


def repeated_share(units: Sequence[Hashable], size: int) -> float:
    """The share of a text's n-grams that stood before; 0 where it has fewer than two."""
    count = len(units) - size + 1
    if count < 2:
        return 0.0
    if isinstance(units, str):
        distinct = len({units[start : start + size] for start in range(count)})
    else:
        distinct = len(set(zip(*(units[start:] for start in range(size)), strict=False)))
    return 1 - distinct / count


def loop_share(units: Sequence[Hashable]) -> float:
    """The share of a text that is one closing passage, LOOP_TIMES or more times in a row (the last may be cut).

    The borders of every prefix of the reversed text (Knuth, Morris and Pratt) give the period of every closing passage.
    """
    backwards = units[::-1]
    borders, border, longest = [0] * len(units), 0, 0
    for end in range(1, len(backwards)):
        while border and backwards[end] != backwards[border]:
            border = borders[border - 1]
        if backwards[end] == backwards[border]:
            border += 1
        borders[end] = border
        if (end + 1) >= LOOP_TIMES * (end + 1 - border):
            longest = end + 1
    return longest / len(units) if longest >= SHORTEST_LOOP else 0.0
