"""The kind `repetition` on prose, loops, scripts without spaces, and hostile texts."""

import time

import pytest

from rewards import Rollout, Verdict, spec_faults
from rewards.kinds.repetition import Repetition, loop_fraction, repeated_fraction

PROSE = (
    "The sea covers most of the earth. Its water holds salt, which rivers wash out of the land over a very long time. "
    "When the sun warms the surface, some of that water rises as vapour and leaves the salt behind, so the sea stays salty."
)
CHINESE = "海洋覆盖了地球的大部分。河水把陆地上的盐带进大海，太阳晒热海面，水变成蒸汽升上天空，盐却留了下来。"


def verdict_on(completion: str) -> Verdict:
    (verdict,) = Repetition().judge([Rollout("q", completion)])
    return verdict


@pytest.mark.parametrize("text", [PROSE, CHINESE, "Four.", "no, no, no", "<think>\n" + PROSE + "\n</think>\n\nSalt."])
def test_text_that_does_not_repeat_scores_one(text: str) -> None:
    assert (verdict_on(text).score, verdict_on(text).reason) == (1.0, "no_repetition")


@pytest.mark.parametrize(
    "text", ["so it goes on " * 50, "海很大。" * 50, "a" * 400, "<think>\nWait, no. " + "But wait. " * 90]
)
def test_a_text_that_is_one_loop_scores_nearly_nothing(text: str) -> None:
    found = verdict_on(text)
    assert found.score is not None
    assert found.score < 0.05
    assert found.reason == "loop"


def test_a_loop_at_the_end_costs_the_fraction_that_it_takes() -> None:
    found = verdict_on(PROSE + " and so on and on" * 10)
    assert found.reason == "loop"
    assert found.score == pytest.approx(1 - 50 / (len(PROSE.split()) + 50), abs=0.02)


def test_passages_that_recur_without_a_loop_cost_what_goes_beyond_the_threshold() -> None:
    found = verdict_on(f"{PROSE} First. {PROSE} Second. {PROSE} Third {PROSE} End.")
    assert found.reason == "repeated"
    assert found.score is not None
    assert 0.2 < found.score < 0.5


def test_the_worse_of_thinking_and_answer_counts() -> None:
    found = verdict_on(f"<think>\n{PROSE}\n</think>\n\n" + "salt and sea " * 40)
    assert found.evidence["part"] == "answer"
    assert found.score is not None
    assert found.score < 0.1


def test_silence_is_not_the_easy_way_to_a_full_score() -> None:
    for completion in ("", " \n", "<think>\n\n</think>\n\n"):
        assert (verdict_on(completion).score, verdict_on(completion).reason) == (0.0, "empty")


def test_fractions_are_counted_over_units() -> None:
    assert repeated_fraction("abcabc", 3) == pytest.approx(1 / 4)
    assert repeated_fraction(["a", "b"], 2) == 0.0
    assert loop_fraction("xy" + "abc" * 5) == pytest.approx(15 / 17)
    assert loop_fraction("xy" + "abc" * 2) == 0.0
    assert loop_fraction("") == 0.0


@pytest.mark.parametrize("text", [PROSE * 340, "word%d " * 16_000, CHINESE * 2000, "a" * 100_000, "ab" * 50_000 + "c"])
def test_a_hundred_thousand_characters_take_well_under_a_second(text: str) -> None:
    started = time.process_time()
    verdict_on(text[:100_000])
    assert time.process_time() - started < 0.3


def test_options_out_of_bounds_are_refused() -> None:
    assert "ngram_size must be at least 1" in spec_faults([{"kind": "repetition", "ngram_size": 0}])[0]
    assert "threshold must be from 0" in spec_faults([{"kind": "repetition", "threshold": 1.0}])[0]
