"""A GRPO step with a process reward model: steps are scored, and the tokens of a step carry its credit."""

from pathlib import Path

import pytest
import torch

from alignment.core.resources import resource
from alignment.records.rollout import RolloutRow
from grpo_trainer import grpo_trainer
from process.step_scorers import untrained_scorer
from thinking_policy import a_thinker

SMALL = (
    "stages.reasoning_rl.rollout.generations=4",
    "stages.reasoning_rl.rollout.problems_per_step=2",
    "stages.reasoning_rl.rollout.max_completion_tokens=24",
    "stages.reasoning_rl.micro_batch=8",
    "stages.reasoning_rl.trainer.max_steps=1",
)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process reward model that has learned nothing."""
    return untrained_scorer(tmp_path_factory.mktemp("scorer"))


@pytest.mark.parametrize(
    ("algorithm", "by"), [("papo", "model: {scorer}"), ("pure", "model: {scorer}"), ("papo", "policy: {base}")]
)
def test_a_step_trains_on_the_credit_of_steps(
    algorithm: str, by: str, scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        *SMALL,
        f"stages.reasoning_rl.algorithm={algorithm}",
        f"stages.reasoning_rl.process={{{by.format(scorer=scorer, base=resource('data/base'))}}}",
    )
    trainer = grpo_trainer(resource("data/base"), tmp_path, monkeypatch, *settings)
    trainer.train()
    assert trainer.state.global_step == 1
    logged = trainer.state.log_history[0]
    assert 0 < logged["process_score"] < 1
    assert logged["steps_per_answer"] >= 1
    (file,) = tmp_path.glob("*/rollouts.jsonl")
    for row in RolloutRow.read_lines(file):
        assert row.verdicts["process"].score is not None
        assert row.reward == pytest.approx(
            sum(row.verdicts[name].score or 0 for name in ("math_answer",))
            + 0.2 * (row.verdicts["think_format"].score or 0)
        )


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy that answers some sums right and others wrong, one running total per line."""
    return a_thinker(tmp_path_factory)


SUMS = "[{source: chain-sum, split: reasoning, count: 8, seed: 3, parameters: {min_terms: 2, max_terms: 4, max_digits: 1}}]"
BY_COMPLETIONS = (
    "stages.reasoning_rl.rollout.generations=4",
    "stages.reasoning_rl.rollout.problems_per_step=4",
    "stages.reasoning_rl.rollout.max_completion_tokens=64",
    f"stages.reasoning_rl.data={SUMS}",
    "stages.reasoning_rl.rollout.dynamic_sampling=false",
    "stages.reasoning_rl.rollout.order=epoch",
    "stages.reasoning_rl.micro_batch=8",
    "stages.reasoning_rl.trainer.max_steps=2",
    "stages.reasoning_rl.process={completions: 3, steps: line, aggregate: mean}",
)


@pytest.mark.parametrize("algorithm", ["vine", "grpo_process"])
def test_steps_train_on_values_of_prefixes_under_the_policy_as_it_is(
    algorithm: str, thinker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few steps with sampled rollouts and completions of their prefixes, from which each token's credit is computed."""
    settings = (*BY_COMPLETIONS, f"stages.reasoning_rl.algorithm={algorithm}")
    trainer = grpo_trainer(thinker, tmp_path, monkeypatch, *settings)
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert trainer.state.global_step == 2
    logged = [one for one in trainer.state.log_history if "process_score" in one]
    assert len(logged) == 2
    assert all(0 <= one["process_score"] <= 1 and one["steps_per_answer"] >= 1 for one in logged)
    assert all(torch.isfinite(torch.tensor([one["loss"], one["grad_norm"]])).all() for one in logged)
    assert any(one["grad_norm"] > 0 for one in logged)
    assert any(not torch.equal(before[name], weight) for name, weight in trainer.model.named_parameters())
    (file,) = tmp_path.glob("*/rollouts.jsonl")
    rows = list(RolloutRow.read_lines(file))
    scores = [score for row in rows if (score := row.verdicts["process"].score) is not None]
    assert len(set(scores)) > 1, "values of prefixes tell rollouts apart"
    # The last step's value is the outcome: the mean of a right answer is above 0, and of a wrong one below 1.
    for row in rows:
        score, told = (
            row.verdicts["process"].score,
            [row.verdicts[one].score for one in ("math_answer", "think_format")],
        )
        if score is not None and row.stop_reason == "end":
            assert score > 0 if told == [1.0, 1.0] else score < 1
