"""A GRPO step with a process reward model: steps are scored, and the tokens of a step carry its credit."""

from pathlib import Path

import pytest

from alignment.core.resources import resource
from alignment.records.rollout import RolloutRow
from grpo_trainer import grpo_trainer
from process.step_scorers import untrained_scorer

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
