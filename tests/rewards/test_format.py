"""The kind think_format on well-formed, nearly well-formed and formless completions, in both modes."""

import pytest

from rewards import Mode, Rollout, follows_mode, thought
from rewards.kinds.think_format import CONDITIONS, ThinkFormat

GOOD = "<think>\nTwo and two.\n</think>\n\nFour."
EMPTY_BLOCK = "<think>\n\n</think>\n\nFour."

EXACT: list[tuple[Mode, str]] = [
    ("thinking", GOOD),
    ("thinking", "Two.\n</think>\n\nFour."),  # the template opened the block, in the prompt
    ("thinking", "<think>\na\n\nb\n</think>\n\nFour.\n\nIndeed."),
    ("non_thinking", EMPTY_BLOCK),
    ("non_thinking", "Four."),
]

# mode, completion, the conditions that do not hold
NEAR: list[tuple[Mode, str, set[str]]] = [
    ("thinking", "<think>Two.</think>Four.", {"well_formed"}),
    ("thinking", "Well. " + GOOD, {"well_formed"}),
    ("thinking", EMPTY_BLOCK, {"well_formed", "mode_obeyed"}),
    ("thinking", "Four.", {"closed", "one_block", "well_formed", "mode_obeyed"}),
    ("thinking", "<think>\nTwo.\n</think>\n\n", {"well_formed", "answer_clean"}),
    ("thinking", "<think>\nTwo and", {"closed", "one_block", "well_formed", "answer_clean"}),
    ("thinking", GOOD + "\n" + GOOD, {"one_block", "well_formed"}),
    ("thinking", GOOD + "</think>", {"closed", "one_block", "well_formed", "answer_clean"}),
    ("thinking", "Two.</think>Four.", {"well_formed"}),
    ("thinking", "Two.\n</think>\n\nFour.\n</think>\n\nFive.", {"closed", "one_block", "well_formed"}),
    ("non_thinking", GOOD, {"well_formed", "mode_obeyed"}),
    ("non_thinking", "<think>\n\n</think>\n\n", {"well_formed", "answer_clean"}),
    ("non_thinking", "<think> </think>Four.", {"well_formed"}),
    ("non_thinking", "<think>\nTwo and", {"closed", "one_block", "well_formed", "mode_obeyed", "answer_clean"}),
    ("non_thinking", "", set(CONDITIONS)),
    ("thinking", " \n", set(CONDITIONS)),
]


@pytest.mark.parametrize(("mode", "completion"), EXACT)
def test_the_exact_form_scores_one(mode: Mode, completion: str) -> None:
    (verdict,) = ThinkFormat().judge([Rollout("q", completion, mode=mode)])
    assert verdict.score == 1.0
    assert all(verdict.evidence.values())


@pytest.mark.parametrize(("mode", "completion", "broken"), NEAR)
def test_every_broken_condition_is_named_and_costs_its_weight(mode: Mode, completion: str, broken: set[str]) -> None:
    (verdict,) = ThinkFormat().judge([Rollout("q", completion, mode=mode)])
    assert {name for name, holds in verdict.evidence.items() if not holds} == broken
    assert verdict.score == pytest.approx(1.0 - sum(CONDITIONS[name] for name in broken))
    assert verdict.reason == "malformed"


def test_a_rollout_without_a_mode_cannot_be_judged() -> None:
    (verdict,) = ThinkFormat().judge([Rollout("q", GOOD)])
    assert (verdict.score, verdict.reason) == (None, "mode_unknown")


def test_a_very_long_block_that_never_closes_is_judged_at_once() -> None:
    (verdict,) = ThinkFormat().judge([Rollout("q", "<think>\n" + "\n x" * 500_000, mode="thinking")])
    assert verdict.score == pytest.approx(0.3)


def test_thinking_is_seen_and_compared_with_the_mode() -> None:
    assert thought(GOOD)
    assert thought("<think>\nTwo and")
    assert not thought(EMPTY_BLOCK)
    assert not thought("<think></think><think></think>Four.")
    assert follows_mode(GOOD, "thinking")
    assert not follows_mode(GOOD, "non_thinking")
    assert follows_mode("Four.", "non_thinking")
    assert not follows_mode("Four.", "thinking")
