"""Weights, gates, clips and the unknown: how named verdicts become one number, in TRL's shape."""

from collections.abc import Sequence
from typing import Any

import pytest

from rewards import (
    Component,
    ComposedReward,
    MissingColumn,
    Rollout,
    Verdict,
    VerdictsUnavailable,
    not_applicable,
    reward_function,
    spec_faults,
)
from rewards.compose import parts, total
from rewards.trl_rollouts import completion_text, read_rollouts

MATHS = [{"kind": "math_answer", "workers": 1}]


class Column:
    """Scores a rollout by one of its columns, where None is "could not judge"."""

    def __init__(self, name: str) -> None:
        self.columns = (name,)

    def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
        scores = [rollout.column(self.columns[0], self.columns[0]) for rollout in rollouts]
        return [Verdict(score, "read" if score is not None else "blank") for score in scores]

    def close(self) -> None:
        """Nothing to end."""


def component(name: str, **options: Any) -> Component:
    return Component(name, Column(name), **options)


def totals(reward: ComposedReward, **columns: list[float | None]) -> list[float | None]:
    rows = len(next(iter(columns.values())))
    return reward(["q"] * rows, ["text"] * rows, **columns)


def test_the_total_is_the_weighted_sum_and_is_not_normalised() -> None:
    reward = ComposedReward([component("a", weight=2.0), component("b", weight=-0.5)])
    assert totals(reward, a=[1.0, 0.5], b=[1.0, 0.0]) == [1.5, 1.0]


def test_a_closed_gate_makes_the_total_zero_whatever_the_others_say() -> None:
    reward = ComposedReward([component("form", weight=0.2, gate=True), component("a", weight=1.0)])
    assert totals(reward, form=[1.0, 0.99, 0.0], a=[1.0, 1.0, None]) == [1.2, 0.0, 0.0]


def test_an_unknown_verdict_makes_the_total_unknown_and_never_zero() -> None:
    reward = ComposedReward([component("a"), component("seen", weight=0.0), component("form", weight=0.0, gate=True)])
    assert totals(reward, a=[None, 1.0, 1.0], seen=[1.0, None, 1.0], form=[1.0, 1.0, None]) == [None, 1.0, None]


def test_a_clip_bounds_what_enters_the_sum_and_not_what_a_gate_sees() -> None:
    reward = ComposedReward([component("a", weight=2.0, clip=(0.0, 0.5), gate=True)])
    assert totals(reward, a=[3.0, 1.0, 0.4]) == [1.0, 1.0, 0.0]


def test_means_and_unknown_fractions_are_reported_for_each_component() -> None:
    metrics: dict[str, float] = {}
    extra: dict[str, list[Any]] = {}
    reward = ComposedReward([component("a"), component("b")])
    reward(["q"] * 4, ["t"] * 4, None, metrics.__setitem__, extra.__setitem__, a=[1.0, 0.0, None, 1.0], b=[None] * 4)
    assert metrics.pop("reward/a/mean") == pytest.approx(2 / 3)
    assert metrics == {
        "reward/a/unknown": 1.0,
        "reward/a/unknown_fraction": 0.25,
        "reward/b/unknown": 4.0,
        "reward/b/unknown_fraction": 1.0,
        "reward/unknown_fraction": 1.0,
    }
    assert extra["a/reason"] == ["read", "read", "blank", "read"]


def test_a_grader_that_cannot_judge_most_of_a_batch_stops_the_run() -> None:
    reward = ComposedReward([component("a"), component("b")])
    with pytest.raises(VerdictsUnavailable, match="'b' could not judge 5 of 8 rollouts.* 'blank'"):
        totals(reward, a=[1.0] * 8, b=[None] * 5 + [1.0] * 3)
    assert totals(reward, a=[1.0] * 8, b=[None] * 4 + [1.0] * 4).count(None) == 4
    assert totals(reward, a=[1.0] * 7, b=[None] * 7) == [None] * 7


def test_a_missing_column_names_the_reward_that_needs_it() -> None:
    with pytest.raises(MissingColumn, match="reward 'b' needs the dataset column 'b'; the dataset has: a"):
        totals(ComposedReward([component("a"), component("b")]), a=[1.0])


def test_completions_may_be_strings_or_messages() -> None:
    assert completion_text("seven") == "seven"
    assert completion_text([{"role": "assistant", "content": "seven"}]) == "seven"
    thinking = [{"role": "assistant", "reasoning_content": "3 + 4", "content": "seven"}]
    assert completion_text(thinking) == "<think>\n3 + 4\n</think>\n\nseven"
    tools = [{"role": "assistant", "content": None}, {"role": "tool", "content": "7"}]
    assert completion_text([*tools, {"role": "assistant", "content": [{"type": "text", "text": "seven"}]}]) == "seven"
    assert completion_text([]) == ""
    parts = [{"type": "thinking", "thinking": "3 + 4"}, {"type": "text", "text": "seven"}]
    for message in ({"reasoning": "3 + 4", "content": "seven"}, {"content": parts}):
        assert completion_text([{"role": "assistant", **message}]) == "<think>\n3 + 4\n</think>\n\nseven"


def test_a_completion_of_messages_reaches_verifiers_whole() -> None:
    turns = [{"role": "assistant", "content": "", "tool_calls": []}, {"role": "tool", "content": "7"}]
    whole, text = read_rollouts(["q", "q"], [turns, "7"], None, {"completion_text": ["raw", "7"]})
    assert (whole.completion, whole.messages, text.messages) == ("raw", tuple(turns), ())


def test_the_engines_own_text_wins_over_what_the_trainer_decoded() -> None:
    columns = {
        "completion_text": ["<think>\n3\n</think>\n\n7"],
        "mode": ["thinking"],
        "budget": [64],
        "stop_reason": ["stop"],
        "forced": [[False, True]],
        "trainer_state": object(),
    }
    (rollout,) = read_rollouts(["q"], ["37"], [[5, 6]], columns)
    assert (rollout.thinking, rollout.answer, rollout.mode, rollout.budget) == ("3", "7", "thinking", 64)
    assert (rollout.stop_reason, rollout.forced, rollout.completion_ids) == ("stop", (False, True), (5, 6))
    assert "trainer_state" not in rollout.columns


def test_a_mode_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="column 'mode' holds 'think' in row 0; write one of: thinking, non_thinking"):
        read_rollouts(["q"], ["7"], None, {"mode": ["think"]})


def test_format_before_correctness_on_real_verifiers() -> None:
    specs = [*MATHS, {"kind": "think_format", "weight": 0.0, "gate": True}]
    with reward_function(specs) as reward:
        scores = reward(
            prompts=["3 + 4?"] * 4,
            completions=["<think>\n3+4\n</think>\n\n7", "<think>\n3+4\n</think>\n\n8", "7", "7"],
            answer=["7"] * 4,
            mode=["thinking", "thinking", "thinking", "non_thinking"],
        )
    assert scores == [1.0, 0.0, 0.0, 1.0]
    assert reward.__name__ == "reward"


MIXED = [
    {"kind": "math_answer", "workers": 1},
    {"kind": "instruction", "weight": 2.0},
    {"kind": "think_format", "weight": 0.5},
]
# One arithmetic row and one instruction row, as a mixture of both hands them over.
MIXED_ROWS = {
    "answer": ["7", None],
    "instruction_id_list": [None, ["punctuation:no_comma"]],
    "kwargs": [None, [{}]],
    "mode": ["non_thinking", "non_thinking"],
}


def test_a_row_is_judged_by_what_applies_to_it_and_the_rest_is_left_out_of_its_total() -> None:
    metrics: dict[str, float] = {}
    with reward_function(MIXED) as reward:
        prompts = ["3 + 4?", "Name two seas without a comma."]
        assert reward(prompts, ["7", "North and Baltic."], None, metrics.__setitem__, **MIXED_ROWS) == [1.5, 2.5]
        assert reward(prompts, ["8", "North, Baltic."], **MIXED_ROWS) == [0.5, 0.5]
        first, second = reward.verdicts(prompts, ["7", "x"], **MIXED_ROWS)
    assert {name for name, verdict in first.items() if not verdict.applicable} == {"instruction"}
    assert {name for name, verdict in second.items() if not verdict.applicable} == {"math_answer"}
    assert (metrics["reward/math_answer/mean"], metrics["reward/math_answer/unknown_fraction"]) == (1.0, 0.0)
    assert metrics["reward/unknown_fraction"] == 0.0


def test_a_row_to_which_nothing_with_a_weight_applies_has_no_total() -> None:
    specs = [*MATHS, {"kind": "think_format", "weight": 0.0, "gate": True}]
    rows = {"answer": ["7", None, None], "mode": ["non_thinking"] * 3}
    with reward_function(specs) as reward:
        assert reward(["q"] * 3, ["7", "7", "<think>"], **rows) == [1.0, None, None]


def test_rows_of_other_verifiers_do_not_make_a_grader_look_broken() -> None:
    with reward_function(MIXED) as reward:
        rows = {name: [values[1]] * 9 + [values[0]] for name, values in MIXED_ROWS.items()}
        assert reward(["q"] * 10, ["7"] * 10, **rows) == [2.5] * 9 + [1.5]
        unknown = {**rows, "instruction_id_list": [["no:such"]] * 9 + [None]}
        with pytest.raises(VerdictsUnavailable, match="'instruction' could not judge 9 of 9 rollouts"):
            reward(["q"] * 10, ["7"] * 10, **unknown)


def test_a_column_that_no_row_has_is_still_missed() -> None:
    with reward_function(MIXED) as reward, pytest.raises(MissingColumn, match="'instruction_id_list'"):
        reward(["q"], ["7"], answer=["7"], mode=["thinking"])


def test_a_column_of_another_name_is_named_in_the_spec() -> None:
    with reward_function([{"kind": "math_answer", "workers": 1, "columns": {"answer": "solution"}}]) as reward:
        assert reward(["q"] * 2, ["7", "8"], solution=["7", "7"], answer=["8", "8"]) == [1.0, 0.0]
        with pytest.raises(MissingColumn, match="needs the dataset column 'solution'; the dataset has: answer"):
            reward(["q"], ["7"], answer=["7"])
    assert spec_faults([{"kind": "math_answer", "columns": {"answers": "solution"}}]) == [
        "reward 1: math_answer reads no column 'answers'; did you mean 'answer'?"
    ]
    assert "columns must name dataset columns" in spec_faults([{"kind": "math_answer", "columns": ["solution"]}])[0]


def test_columns_and_answers_may_be_numpys_and_a_completion_may_be_none() -> None:
    numpy = pytest.importorskip("numpy")
    with reward_function(MATHS) as reward:
        answers = numpy.array([7.0, float("nan"), 9.0, 3.0])
        assert reward(["q"] * 4, ["7", "8", "8", None], answer=answers) == [1.0, None, 0.0, 0.0]
        assert reward(["q"], ["7"], answer=[numpy.int64(7)]) == [1.0]


def test_a_parsed_message_thinks_under_either_name() -> None:
    message = {"role": "assistant", "thinking": "3 + 4", "content": "seven"}
    assert completion_text([message]) == completion_text(message) == "<think>\n3 + 4\n</think>\n\nseven"


def test_a_component_is_shown_the_rows_of_its_tasks_alone() -> None:
    """A judge that is paid for is not asked about another task's rows."""

    class Seen(Column):
        asked = 0

        def judge(self, rollouts: Sequence[Rollout]) -> list[Verdict]:
            self.asked += len(rollouts)
            return super().judge(rollouts)

    seen = Seen("style")
    reward = ComposedReward([component("right"), Component("style", seen, weight=0.5, tasks=("chat/*", "!chat/code"))])
    tasks = ["chat/poem", "sums", "chat/code"]
    given: dict[str, Any] = {"right": [1.0] * 3, "style": [1.0] * 3}
    assert reward(["q"] * 3, ["a"] * 3, task_name=tasks, **given) == [1.5, 1.0, 1.0]
    assert seen.asked == 1
    with pytest.raises(MissingColumn, match="task_name"):
        reward(["q"] * 3, ["a"] * 3, **given)
    assert spec_faults([{**MATHS[0], "tasks": "sums"}])[0].startswith("reward 1: tasks must be a list")


def test_a_total_is_the_weighted_sum_of_its_parts() -> None:
    """What normalising each reward before they are added up needs."""
    components = [component("right", weight=2.0, clip=(0.0, 0.5)), component("shape", gate=True), component("other")]
    verdicts = {"right": Verdict(1.0, "read"), "shape": Verdict(1.0, "read"), "other": not_applicable("other")}
    assert parts(components, verdicts, {"taste": 0.3}) == {"right": 0.5, "shape": 1.0, "other": 0.0, "taste": 0.3}
    assert total(components, verdicts, [0.3]) == pytest.approx(2 * 0.5 + 1.0 + 0.3)
    closed = {**verdicts, "shape": Verdict(0.5, "read")}
    assert parts(components, closed, {"taste": 0.3}) == {} and total(components, closed, [0.3]) == 0.0
