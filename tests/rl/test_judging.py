"""Verdicts that come while others are still sampled are the same verdicts, and cost what sampling does not hide."""

import time
from collections.abc import Iterator, Sequence

import pytest

from alignment.data.rows import Problem
from alignment.inference.engine import Generation, GenerationRequest
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.judging import Judging
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import Trajectory, one_turn
from rewards import VerdictsUnavailable

GROUP, ROWS = 4, 96
SPECS = [Reward(kind="think_format")]
PROBLEMS = [
    Problem(f"p{row // GROUP}", [{"role": "user", "content": "1 + 1"}], "2", None, "sums") for row in range(ROWS)
]
# Every third is well formed; finished in an order of its own.
ORDER = sorted(range(ROWS), key=lambda row: row * 7 % ROWS)


def rollout(row: int) -> Trajectory:
    text = "<think>\nhm\n</think>\n\n2" if row % 3 == 0 else "<think>\nhm 2"
    made = Generation(GenerationRequest([1], "thinking"), [1, 2], [0.0, 0.0], [False] * 2, "end", text, 1)
    return one_turn(Opening(PROBLEMS[row].messages, []), made)


def finished(seconds: float = 0.0, order: Sequence[int] = ORDER) -> Iterator[tuple[int, Trajectory]]:
    for row in order:
        time.sleep(seconds)
        yield row, rollout(row)


class Slow(Scorer):
    """Takes 200 ms or so for each piece, as a model that judges would."""

    asked: list[int]
    seconds = 0.2

    def judge(self, problems: Sequence[Problem], completions: Sequence[Trajectory]) -> list[Judged]:
        time.sleep(self.seconds)
        self.asked = [*getattr(self, "asked", []), len(problems)]
        return super().judge(problems, completions)


def test_verdicts_are_those_of_one_batch_and_come_with_their_rows() -> None:
    expected = Scorer(SPECS).judge(PROBLEMS, [rollout(row) for row in range(ROWS)])
    assert {one.total for one in expected} == {0.3, 1.0}
    assert Judging(Scorer(SPECS)).judged(PROBLEMS, finished(), GROUP) == expected
    odd = Judging(Scorer(SPECS)).judged(PROBLEMS[:6], iter([(row, rollout(row)) for row in (5, 0, 2, 1, 4, 3)]), GROUP)
    assert odd == expected[:6], "a rank's last group may be a part of one"
    assert Judging(Scorer(SPECS)).judged([], iter(()), GROUP) == []


def test_a_slow_verifier_is_hidden_behind_sampling() -> None:
    scorer = Slow(SPECS)
    judging = Judging(scorer)
    judging.judged(PROBLEMS, finished(0.02), GROUP)  # about 2 s of sampling
    assert len(scorer.asked) >= 3 and sum(scorer.asked) == ROWS and all(count % GROUP == 0 for count in scorer.asked)
    assert judging.waited_seconds < 0.2 * len(scorer.asked) - 0.1, "less than the verdicts took"


def test_no_piece_that_began_late_is_waited_for_before_the_last_one() -> None:
    """From its second call on, what is not hidden is the last piece alone: its rows end with sampling."""
    scorer, waited = Slow(SPECS), []
    scorer.seconds, judging = 0.3, Judging(scorer)
    for _ in range(4):
        before = judging.waited_seconds
        judging.judged(PROBLEMS, finished(0.01, range(ROWS)), GROUP)  # about 1 s of sampling
        waited.append(judging.waited_seconds - before)
    assert min(waited[1:]) < 0.4, f"a piece takes 0.3 s, and calls waited {waited}"


def test_what_is_done_meanwhile_is_done_while_the_last_rows_are_judged() -> None:
    scorer, seen = Slow(SPECS), []
    judging = Judging(scorer)

    def meanwhile(made: Sequence[Trajectory]) -> None:
        time.sleep(0.15)
        seen.append((list(made), len(getattr(scorer, "asked", []))))

    judging.judged(PROBLEMS, finished(), GROUP, meanwhile)
    assert seen == [([rollout(row) for row in range(ROWS)], 0)], "all rollouts, in order, before any verdict was there"
    assert judging.waited_seconds < 0.2 * len(scorer.asked) - 0.05, "what was done meanwhile is no waiting"


def test_a_verifier_that_fails_ends_sampling_at_once() -> None:
    class Broken(Scorer):
        def judge(self, problems: Sequence[Problem], completions: Sequence[Trajectory]) -> list[Judged]:
            raise VerdictsUnavailable("judge", 16, 16, "no answer")

    left = finished()
    with pytest.raises(VerdictsUnavailable):
        Judging(Broken(SPECS)).judged(PROBLEMS, left, GROUP)
