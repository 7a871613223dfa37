"""A reward model for whole answers beside step scores: what it scores, what it cannot, and how best of N shows it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from alignment.data.rows import Problem, user_turn
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.process.candidates import candidates
from alignment.evaluation.process.measure import best_of
from alignment.inference.engine import Generation, GenerationRequest
from alignment.inference.process_model import ProcessModel
from alignment.inference.reward_model import RewardModel
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Judged
from alignment.rollout.trajectory import one_turn
from process.step_scorers import untrained_scorer
from rewards import Verdict
from scorers.reward_models import untrained_reward_model

PROBLEM = Problem("p", [user_turn("What is 1 + 1?")], "2")


class Answered:
    """Answers that were given before: (text, whether it is right, whether it ended)."""

    def __init__(self, model: RewardModel, given: list[tuple[str, bool, bool]]) -> None:
        self._judged = [self._answer(model, *one) for one in given]

    def answers(self, asked: list[Any], seed: int) -> list[Judged]:
        return self._judged

    def _answer(self, model: RewardModel, text: str, right: bool, ended: bool) -> Judged:
        ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
        request, blank = GenerationRequest([1, 2], "non_thinking"), [0.0] * len(ids)
        made = Generation(request, ids, blank, [False] * len(ids), "end" if ended else "length", text, 0)
        verdicts = {"math_answer": Verdict(float(right), "compared")}
        return Judged(PROBLEM, one_turn(Opening(PROBLEM.messages, []), made), verdicts, float(right))


def test_whole_answers_are_scored_as_the_reward_model_scores_them_and_unfinished_ones_are_chosen_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    steps, taste = (
        ProcessModel(str(untrained_scorer(tmp_path / "prm"))),
        RewardModel(str(untrained_reward_model(tmp_path / "taste"))),
    )
    given = [("1 + 1 = 2\n\\boxed{2}", True, True), ("\\boxed{3}", False, True), ("1 + 1", False, False)]
    answered = cast("Evaluator", Answered(taste, given))
    (found,) = candidates(answered, steps, [PROBLEM], 3, "non_thinking", 0, taste)
    expected = [
        taste.scores([taste.rendered([*PROBLEM.messages, {"role": "assistant", "content": text}], "non_thinking")])[0]
        for text, _, _ in given[:2]
    ]
    assert [one.outcome for one in found[:2]] == pytest.approx(expected, abs=1e-5)
    assert found[2].outcome is None and list(found[2].scores) == []
    points = best_of([found] * 4, 0, "product")
    assert points[0].choices["outcome reward"].value == pytest.approx(1 / 3, abs=1e-4)
    without = best_of([[replace(one, outcome=None) for one in found]] * 4, 0, "product")
    assert "outcome reward" not in without[0].choices and without[0].outcome.value is None
