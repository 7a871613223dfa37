"""The nouns: how a completion divides into thinking and answer, and what a verdict may hold."""

import pytest

from rewards import MissingColumn, Rollout, Verdict

DIVISIONS = [
    # completion, thinking, answer
    ("<think>\nsum them\n</think>\n\n7", "sum them", "7"),
    ("<think>\n\n</think>\n\n7", "", "7"),
    ("just 7", "", "just 7"),
    ("<think>\nstill going, maybe 7", "still going, maybe 7", ""),
    ("thought without opening</think>\n\n7", "thought without opening", "7"),
    ("<think>a</think>5<think>b</think>7", "a</think>5<think>b", "7"),
    ("<think>a</think>5<think>b", "a</think>5<think>b", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("completion", "thinking", "answer"), DIVISIONS)
def test_a_completion_divides_into_thinking_and_answer(completion: str, thinking: str, answer: str) -> None:
    rollout = Rollout("q", completion)
    assert (rollout.thinking, rollout.answer) == (thinking, answer)


def test_a_verdict_refuses_a_score_that_is_not_a_number() -> None:
    for score in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            Verdict(score, "broken")
    assert Verdict(None, "timed_out").score is None


def test_a_missing_column_says_who_needs_what_and_what_there_is() -> None:
    with pytest.raises(MissingColumn) as caught:
        Rollout("q", "7", columns={"solution": "7"}).column("math_answer", "answer")
    assert str(caught.value) == (
        "reward 'math_answer' needs the dataset column 'answer'; the dataset has: solution. "
        "Add a column 'answer' to the dataset, or rename the one that holds it."
    )
