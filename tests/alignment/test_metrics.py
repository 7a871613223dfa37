"""From judged completions to figures: intervals are Wilson's, and what could not be judged is counted apart."""

import pytest

from alignment.core.statistics.intervals import wilson
from alignment.evaluation.outcomes import Outcome, figures, score


def outcome(correct: bool | None, task: str = "sums", *, thinking: int = 10, truncated: bool = False) -> Outcome:
    return Outcome(task, correct, True, thinking, 4, truncated, False)


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [
        # Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3; the last row is 1 - the one above it.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (28, 29, 0.8282, 0.9939),
    ],
)
def test_the_interval_is_the_published_one(successes: int, count: int, low: float, high: float) -> None:
    assert wilson(successes, count) == pytest.approx((low, high), abs=5e-5)


def test_a_perfect_score_is_not_certainty() -> None:
    low, high = wilson(20, 20)
    assert (round(low, 4), high) == (0.8389, 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


def test_what_could_not_be_judged_is_left_out_and_counted() -> None:
    found = score([outcome(True), outcome(True), outcome(False), outcome(None), outcome(None)])
    assert (found.count, found.accuracy.value, found.unknown) == (3, 0.6667, 2)
    assert (found.accuracy.low, found.accuracy.high) == tuple(round(bound, 4) for bound in wilson(2, 3))


def test_where_nothing_could_be_judged_everything_is_possible() -> None:
    found = score([outcome(None)] * 4)
    assert (found.count, found.unknown) == (0, 4)
    assert (found.accuracy.low, found.accuracy.high) == (0.0, 1.0)


def test_tasks_are_broken_down_in_their_order() -> None:
    found = figures(
        "thinking", [outcome(True), outcome(False, "gsm8k"), outcome(None, "gsm8k"), outcome(True, thinking=30)]
    )
    assert [(task.task, task.count, task.accuracy.value, task.unknown) for task in found.tasks] == [
        ("sums", 2, 1.0, 0),
        ("gsm8k", 1, 0.0, 1),
    ]
    assert found.mean_thinking_tokens == 15.0


def test_fractions_are_over_all_completions_judged_or_not() -> None:
    found = figures("thinking", [outcome(None, truncated=True), outcome(True), outcome(False), outcome(True)])
    assert (found.truncated_fraction, found.format, found.forced_fraction) == (0.25, 1.0, 0.0)
    assert found.finished_fraction == 0.75
