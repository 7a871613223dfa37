"""Pairs of a policy's own answers: each answer continues its prompt, or the stage that trains on it would stop."""

from alignment.data.rows import Problem, user_turn
from alignment.recipe.blocks.rewards import Reward
from alignment.records.rollout import RolloutRow, VerdictRecord
from alignment.training.kinds.sample import SampleStage
from alignment.training.stages.sample import _pairs


def row(text: str, reward: float) -> RolloutRow:
    return RolloutRow(
        1, "p", "2 + 2 =", "4", "non_thinking", None, text, 5, 0, 0, "end", reward, {"math_answer": VerdictRecord(reward)}
    )  # fmt: skip


def test_an_answer_that_thinks_where_it_was_not_to_is_in_no_pair() -> None:
    problem = Problem("p", [user_turn("2 + 2 =")], "4")
    stage = SampleStage(name="own", kind="sample", data="tiny-general", rewards=[Reward(kind="math_answer")])
    thought = row("<think>\n2 + 2 = 5\n</think>\n\n5", 0.0)
    (pair,) = _pairs(problem, [thought, row("4", 1.0), row("7", 0.0)], stage)
    assert (pair.chosen["content"], pair.rejected["content"]) == ("4", "7")
    assert list(_pairs(problem, [thought, row("4", 1.0)], stage)) == []
