"""The kind `length` in its four forms: tokens are counted and never guessed, and forced ones are not the policy's."""

from typing import Any

import pytest

from rewards import MissingColumn, Rollout, reward_function, spec_faults
from rewards.kinds.length import Length


def rollout(tokens: int | None, forced: int = 0, thinking: int | None = None, **known: Any) -> Rollout:
    ids = None if tokens is None else tuple(range(tokens))
    inserted = (True,) * forced + (False,) * ((tokens or 0) - forced)
    return Rollout("q", "text", completion_ids=ids, forced=inserted, columns={"thinking_tokens": thinking}, **known)


@pytest.mark.parametrize(
    ("options", "one", "score", "reason"),
    [
        ({"form": "l1_exact"}, rollout(1000, budget=1000), 1.0, "on_target"),
        ({"form": "l1_exact"}, rollout(1100, budget=1000), 0.97, "longer"),
        ({"form": "l1_exact"}, rollout(900, budget=1000), 0.97, "shorter"),
        ({"form": "l1_exact"}, rollout(1100, forced=100, budget=1000), 1.0, "on_target"),
        ({"form": "l1_exact"}, rollout(9000, budget=1000), 0.0, "longer"),
        ({"form": "l1_max"}, rollout(1000, budget=1000), 0.5, "on_target"),
        ({"form": "l1_max"}, rollout(0, budget=1000), 0.8, "shorter"),
        ({"form": "l1_max"}, rollout(0, budget=5000), 1.0, "shorter"),
        ({"form": "l1_max"}, rollout(4000, budget=1000), 0.0, "longer"),
        ({"form": "overlong", "max_tokens": 100, "cache_tokens": 20}, rollout(80), 0.0, "within"),
        ({"form": "overlong", "max_tokens": 100, "cache_tokens": 20}, rollout(90), -0.5, "nearly_overlong"),
        ({"form": "overlong", "max_tokens": 100, "cache_tokens": 20}, rollout(90, forced=10), 0.0, "within"),
        ({"form": "overlong", "max_tokens": 100, "cache_tokens": 20}, rollout(100), -1.0, "overlong"),
        ({"form": "overlong", "max_tokens": 100, "cache_tokens": 20}, rollout(500), -1.0, "overlong"),
        ({}, rollout(90, thinking=64, budget=64), 1.0, "within"),
        ({}, rollout(90, thinking=80, budget=64), 0.75, "over"),
        ({}, rollout(300, thinking=200, budget=64), 0.0, "over"),
        ({}, rollout(90, forced=4, thinking=64, budget=64), 0.0, "cut_off"),
        ({"form": "l1_max"}, rollout(None, budget=10), None, "tokens_unknown"),
        ({"form": "overlong", "max_tokens": 9, "cache_tokens": 2}, rollout(None), None, "tokens_unknown"),
        ({}, rollout(90, budget=64), None, "tokens_unknown"),
        ({"form": "l1_exact"}, rollout(10), None, "not_applicable"),
        ({}, rollout(10, thinking=5), None, "not_applicable"),
        ({}, rollout(10, thinking=0, budget=0), None, "not_applicable"),
        ({}, rollout(10, thinking=0, budget=64, mode="non_thinking"), None, "not_applicable"),
    ],
)
def test_a_length_is_scored_by_its_form(
    options: dict[str, Any], one: Rollout, score: float | None, reason: str
) -> None:
    (verdict,) = Length(**options).judge([one])
    assert verdict.reason == reason
    assert verdict.score == (None if score is None else pytest.approx(score))


def test_thinking_tokens_are_a_column_and_are_not_guessed_from_the_text() -> None:
    columns = {"mode": ["thinking"], "budget": [64]}
    with pytest.raises(MissingColumn, match="thinking_tokens"):
        reward_function([{"kind": "length"}])(["q"], ["<think>\na\n</think>\n\nb"], [[1, 2]], **columns)


def test_l1_max_is_correctness_times_brevity_where_correctness_is_a_gate() -> None:
    specs = [{"kind": "math_answer", "weight": 0.0, "gate": True, "workers": 1}, {"kind": "length", "form": "l1_max"}]
    with reward_function(specs) as reward:
        assert reward(["q"] * 2, ["7", "8"], [[1], [1]], answer=["7", "7"], budget=[1, 1]) == [0.5, 0.0]


def test_options_that_do_not_fit_together_are_found_before_anything_starts() -> None:
    assert spec_faults([{"kind": "length", "form": "overlong"}]) == [
        "reward 1: overlong needs 0 < cache_tokens <= max_tokens, not 0 and 0"
    ]
    assert "alpha must be above 0" in spec_faults([{"kind": "length", "alpha": 0.0}])[0]
    assert "one of l1_exact, l1_max, overlong, budget" in spec_faults([{"kind": "length", "form": "l1"}])[0]
