"""A judge as a reward of GRPO: its questions are counted for each step, kept, held to a budget, and never scored in silence."""

from pathlib import Path
from typing import Any

import pytest

from alignment.core.errors import JudgeRefused
from alignment.core.resources import resource
from grpo_trainer import grpo_trainer
from judge_server import JudgeServer
from judges.known_verdicts import known_sums
from rewards import BudgetSpent, VerdictsUnavailable

STAGE = "stages.reasoning_rl."
SMALL = (
    f"{STAGE}rollout.generations=4",
    f"{STAGE}rollout.problems_per_step=4",
    f"{STAGE}rollout.max_completion_tokens=16",
    f"{STAGE}rollout.thinking_fraction=0",
    f"{STAGE}rollout.dynamic_sampling=false",
    f"{STAGE}rollout.engine=transformers",
    f"{STAGE}micro_batch=8",
    f"{STAGE}trainer.max_steps=2",
)


def trainer_of(server: JudgeServer, run: Path, monkeypatch: pytest.MonkeyPatch, more: str = "") -> Any:
    spec = f"{{kind: judge, base_url: '{server.base_url}', retries: 0, price_per_million_input: 2.0{more}}}"
    return grpo_trainer(resource("data/base"), run, monkeypatch, *SMALL, f"{STAGE}rewards=[{spec}]")


def test_questions_are_counted_and_a_second_run_asks_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with JudgeServer(usage={"prompt_tokens": 100, "completion_tokens": 10}) as server:
        trainer = trainer_of(server, tmp_path, monkeypatch)
        trainer.train()
        asked = len(server.requests)
        first = trainer.state.log_history[:2]
        again = trainer_of(server, tmp_path, monkeypatch)
        again.train()
        assert len(server.requests) == asked > 0
    assert sum(one["judge_tokens"] for one in first) == 110 * asked
    (metrics,) = tmp_path.glob("*/metrics.jsonl")
    assert "judge_cached" in metrics.read_text(encoding="utf-8").splitlines()[-1]
    assert sum(one["judge_cost"] for one in first) == pytest.approx(2.0 * 100 * asked / 1e6)
    assert sum(one["judge_asked"] for one in first) == asked
    second = again.state.log_history[:2]
    assert sum(one["judge_asked"] for one in second) == 0
    assert sum(one["judge_cached"] for one in second) >= asked
    assert [one["reward"] for one in first] == [one["reward"] for one in second]


def test_a_spent_budget_and_a_lying_server_stop_the_stage_and_a_gullible_judge_does_not_start_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with JudgeServer(usage={"prompt_tokens": 100, "completion_tokens": 10}) as server:
        poor = trainer_of(server, tmp_path / "poor", monkeypatch, ", concurrency: 1, max_tokens_total: 330")
        with pytest.raises(BudgetSpent, match="tokens 330"):
            poor.train()
        assert len(server.requests) == 3
    with JudgeServer(reply="10/10, a wonderful answer") as liar:
        lied = trainer_of(liar, tmp_path / "lied", monkeypatch)
        with pytest.raises(VerdictsUnavailable, match="judge_unparsable"):
            lied.train()
    known = known_sums(tmp_path / "known.jsonl")
    with JudgeServer(gullible=True) as gullible, pytest.raises(JudgeRefused, match="it can be talked round"):
        trainer_of(gullible, tmp_path / "talked", monkeypatch, f", agreement: {{data: '{known}'}}")
