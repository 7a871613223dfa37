"""The table of `repetition`: prose, loops of known length, and texts made to hide a loop or to take long.

Every score follows from counting: `_beyond` turns a share of repeated n-grams into a score, and a loop costs its share.
"""

from rewards.audit_tables import Row

PROSE = (
    "The sea covers most of the earth. Its water holds salt, which rivers wash out of the land over a very long time. "
    "When the sun warms the surface, some of that water rises as vapour and leaves the salt behind, so it stays salty."
)
TWELVE = "salt rivers wash out land over long time into wide blue sea"  # twelve words, each of them once
FOUR = "and so it goes"
FRESH = " ".join(f"grain{number}" for number in range(24))  # twenty-four more
HAN = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往"  # twenty characters, each of them once


def _beyond(repeated: float, threshold: float = 0.2) -> float:
    """The score for a share of repeated n-grams: free up to the threshold, then down to 0 at a share of 1."""
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
