"""Kind `repetition`: does a completion repeat itself, or run into a loop?

Two signs, each for the thinking and the answer: the fraction of n-grams that stood before in the same text, and the fraction
of the text that is one closing passage repeated three times or more. Units are words; characters where a script has no
spaces. Everything is linear in the length of the text.
"""

from collections.abc import Hashable, Sequence

from rewards.contract import THINK_CLOSE, THINK_OPEN, Rollout, Verdict
from rewards.detection import scripts_of
from rewards.kind import Kind, Row

CHARACTERS_PER_WORD = 20  # where words are longer in the mean, there are no words
SPACELESS = frozenset(("han", "kana", "thai", "lao", "khmer", "myanmar"))
CHARACTERS_PER_UNIT = 2  # an n-gram of characters is so much longer than one of words
LOOP_TIMES = 3  # how often a closing passage stands before it is a loop
SHORTEST_LOOP = 12  # units; "no, no, no" is none


class Repetition:
    """Verifier of the kind `repetition`: 1.0 for no repetition, falling to 0.0.

    A fraction of repeated n-grams up to `threshold` is free, as notation and names recur in any derivation; from there the
    score falls to 0.0 at a fraction of 1. A loop costs the fraction of the text that it takes. The lower of the two counts,
    in the worse of thinking and answer.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, *, ngram_size: int = 4, threshold: float = 0.2) -> None:
        fault = self.option_fault(ngram_size=ngram_size, threshold=threshold)
        if fault is not None:
            raise ValueError(fault)
        self.ngram_size, self.threshold = ngram_size, threshold

    @staticmethod
    def option_fault(*, ngram_size: int = 4, threshold: float = 0.2) -> str | None:
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
        """(fraction of repeated n-grams, fraction of the text that is a closing loop)."""
        words = text.lower().split()
        if len(text) > CHARACTERS_PER_WORD * len(words) or next(iter(scripts_of(text)), "") in SPACELESS:
            letters = "".join(words)
            return repeated_fraction(letters, self.ngram_size * CHARACTERS_PER_UNIT), loop_fraction(letters)
        return repeated_fraction(words, self.ngram_size), loop_fraction(words)


def repeated_fraction(units: Sequence[Hashable], size: int) -> float:
    """The fraction of a text's n-grams that occurred before; 0 with fewer than two."""
    count = len(units) - size + 1
    if count < 2:
        return 0.0
    if isinstance(units, str):
        distinct = len({units[start : start + size] for start in range(count)})
    else:
        distinct = len(set(zip(*(units[start:] for start in range(size)), strict=False)))
    return 1 - distinct / count


def loop_fraction(units: Sequence[Hashable]) -> float:
    """The fraction of a text that is one closing passage, LOOP_TIMES or more times in a row (the last may be cut).

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


# The table of `repetition`: prose, loops of known length, and texts made to hide a loop or to take long.
PROSE = (
    "The sea covers most of the earth. Its water holds salt, which rivers wash out of the land over a very long time. "
    "When the sun warms the surface, some of that water rises as vapour and leaves the salt behind, so it stays salty."
)
TWELVE = "salt rivers wash out land over long time into wide blue sea"  # twelve words, each of them once
FOUR = "and so it goes"
FRESH = " ".join(f"grain{number}" for number in range(24))  # twenty-four more
HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往"  # twenty characters, each of them once


def _beyond(repeated: float, threshold: float = 0.2) -> float:
    """The score for a fraction of repeated n-grams: 1 up to the threshold, then down to 0 at a fraction of 1."""
    return 1 - (repeated - threshold) / (1 - threshold)


def _thought(thinking: str, answer: str) -> str:
    return f"<think>\n{thinking}\n</think>\n\n{answer}"


ROWS: tuple[Row, ...] = (
    Row("gold", PROSE, 1.0),
    Row("gold", "Four.", 1.0),
    Row("gold", "No, no, no!", 1.0),
    Row("gold", TWELVE, 1.0),
    Row("gold", HAN, 1.0),
    Row("gold", "海洋覆盖了地球的大部分。河水把陆地上的盐带进大海，太阳晒热海面，水变成蒸汽升上天空。", 1.0),
    Row("gold", _thought(PROSE, "Salt."), 1.0),
    Row("gold", _thought(PROSE, PROSE), 1.0),  # the answer may say again what was thought
    Row("gold", "<think>\n" + PROSE, 1.0),  # cut off, which other verifiers judge
    Row("gold", r"$x^2 - 4 = (x - 2)(x + 2)$, so $x = 2$ or $x = -2$, and the answer is \boxed{2}.", 1.0),
    # Twice, which is no loop: of 29 n-grams one stood before, and that is free.
    Row("near_miss", f"{FRESH} {FOUR} {FOUR}", 1.0),
    # Three times: 12 of 36 words are a loop.
    Row("near_miss", f"{FRESH} {FOUR} {FOUR} {FOUR}", 24 / 36),
    # The third time cut short: 11 words are too few for a loop, and of 32 n-grams four stood before.
    Row("near_miss", f"{FRESH} {FOUR} {FOUR} and so it", 1.0),
    # A passage twice: 24 words make 21 n-grams, of which nine stood before.
    Row("near_miss", f"{TWELVE} {TWELVE}", _beyond(9 / 21)),
    Row("near_miss", f"{TWELVE} {TWELVE.upper()}", _beyond(9 / 21)),
    Row("near_miss", f"{TWELVE}\n\n\t{TWELVE}", _beyond(9 / 21)),
    Row("near_miss", f"{TWELVE} {TWELVE}", 1.0, options={"threshold": 0.5}),
    Row("near_miss", f"{TWELVE} {TWELVE}", _beyond(9 / 21, 0.0), options={"threshold": 0.0}),
    Row("near_miss", "salt and sea and salt and sand", 5 / 6, options={"ngram_size": 2, "threshold": 0.0}),
    Row("near_miss", "salt sea salt sand", 0.75, options={"ngram_size": 1, "threshold": 0.0}),
    Row("near_miss", "no " * 11, _beyond(7 / 8)),
    Row("near_miss", HAN * 2, _beyond(13 / 33)),  # n-grams of eight characters
    Row("near_miss", _thought(PROSE, f"{TWELVE} {TWELVE}"), _beyond(9 / 21)),
    Row("near_miss", _thought(f"{TWELVE} {TWELVE}", PROSE), _beyond(9 / 21)),
    Row("garbage", "", 0.0),
    Row("garbage", " \n\t", 0.0),
    Row("garbage", "<think>\n\n</think>\n\n", 0.0),
    Row("garbage", "no " * 12, 0.0),
    Row("garbage", "a" * 400, 0.0),
    Row("garbage", "海很大。" * 50, 0.0),
    Row("garbage", f"{TWELVE} " * 3, 0.0),
    Row("garbage", _thought("But wait. " * 90, "Salt."), 0.0),
    # It reads no column and no mode, so what is broken there does not keep it from judging.
    Row("unjudgeable", PROSE, 1.0, {"answer": None, "instruction_id_list": 7}),
    Row("unjudgeable", "no " * 12, 0.0, mode="non_thinking"),
    # A loop with a count in it: of each eight words, four n-grams recur, and four hold the number.
    Row("adversarial", " ".join(f"so it goes on and on! then {n}" for n in range(20)), _beyond(76 / 157)),
    # A loop with one word after it: 33 of 34 n-grams lie within it, and twelve of these are new.
    Row("adversarial", f"{TWELVE} " * 3 + "End.", _beyond(21 / 34)),
    Row("adversarial", f"{TWELVE} " * 3 + "salt rivers wash", 0.0),  # the last round cut short
    Row("adversarial", "<think>" * 1000, 0.0),
    Row("adversarial", "salt<think>" * 50 + "</think>" + PROSE, 0.0),
    Row("adversarial", "a b " * 50_000, 0.0),
    Row("adversarial", "ab" * 100_000, 0.0),
    Row("adversarial", " ".join(map(str, range(40_000))), 1.0),
    Row("adversarial", "\u200b" * 100_000, 0.0),
)

KIND = Kind("repetition", Repetition, ROWS)
