"""Completions of weights that are some steps old: sampled beside training, corrected for, and dropped where they are older."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in import BASE, stand_ins
from transformers import AutoModelForCausalLM

from alignment.inference.ranks import Ranks
from alignment.recipe.blocks.sampling import Rollout
from alignment.records.rollout import RolloutRow
from alignment.rollout.difficulty import DifficultyPool, Outcome
from alignment.training.rl.ahead import Ahead, without_stale
from alignment.training.rl.batch import RolledOut, Row
from alignment.training.rl.order import EpochSampler
from alignment.training.rl.step_problems import StepProblems
from grpo_trainer import grpo_trainer
from rewards import VerdictsUnavailable

EIGHTS = '''"""Fraction of a completion's characters that are an 8."""


def eights(completions):
    return [text.count("8") / max(1, len(text)) for text in completions]
'''


@pytest.fixture
def unsure(tmp_path: Path) -> Path:
    """The embedded model with flat distributions, so that it has much to learn in few steps."""
    policy = tmp_path / "unsure"
    shutil.copytree(BASE, policy)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    with torch.no_grad():
        model.model.norm.weight.mul_(0.3)
    model.save_pretrained(policy)
    return policy


def trainer(policy: Path, run: Path, monkeypatch: pytest.MonkeyPatch, engine: str, steps: int, staleness: int) -> Any:
    """Of a stage that is rewarded for eights."""
    (run.parent / "reward.py").write_text(EIGHTS)
    rollout = {
        "engine": engine,
        "problems_per_step": 2,
        "max_completion_tokens": 8,
        "thinking_fraction": 0.0,
        "max_staleness": staleness,
    }
    chosen = {
        **{f"rollout.{key}": value for key, value in rollout.items()},
        "algorithm": "{type: dapo, importance_cap: 2}",
        "rewards": f"[{{kind: '{run.parent}/reward.py:eights'}}]",
        "trainer": f"{{max_steps: {steps}, learning_rate: 1.0e-3, lr_scheduler_type: constant}}",
    }
    return grpo_trainer(
        policy, run, monkeypatch, *(f"stages.reasoning_rl.{key}={value}" for key, value in chosen.items())
    )


def figures(trained: Any, name: str) -> list[float]:
    return [line[name] for line in trained.state.log_history if name in line]


def test_a_run_on_rollouts_of_the_step_before_learns_its_task(
    unsure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step's rollouts are begun before the first step trains; every step's weights reach the server."""
    with stand_ins(1) as (server,):
        engine = f"{{type: vllm_server, endpoints: ['{server.address}']}}"
        made = trainer(unsure, tmp_path / "run", monkeypatch, engine, 10, 1)
        with made._rollouts._context.at_end:
            made.train()
    rewards = figures(made, "reward")
    assert len(rewards) == 10 and max(rewards[:3]) < 0.1 and min(rewards[-2:]) > 0.2
    assert figures(made, "staleness") == [0.0] + [1.0] * 9 and figures(made, "stale_rows") == [0.0] * 10
    assert max(figures(made, "logprob_gap")) < 1e-5, (
        "the weights that are compared are those that were sent, not the old ones"
    )
    assert server.served == 10 * 16, "nothing is sampled beyond the last step, and nothing twice"
    lines = (tmp_path / "run").glob("*-reasoning_rl/rollouts.jsonl")
    assert '"staleness": 1' in next(lines).read_text().splitlines()[-1]


@pytest.mark.parametrize("steps", [4, pytest.param(12, marks=pytest.mark.long)])
def test_completions_go_on_over_several_steps_and_the_policy_learns_its_task(
    unsure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """Three steps are under way. Weights are sent meanwhile; no token is older than three steps, and each line says how old."""
    with stand_ins(1) as (server,):
        engine = f"{{type: vllm_server, endpoints: ['{server.address}']}}"
        made = trainer(unsure, tmp_path / "run", monkeypatch, engine, steps, 3)
        server.token_seconds, server.holds_after = 0.02, 16  # of the second step on: their weights come before they end
        with made._rollouts._context.at_end:
            made.train()
    rewards = figures(made, "reward")
    assert len(rewards) == steps and max(rewards[:3]) < 0.1 and (steps < 12 or min(rewards[-2:]) > 0.15)
    assert figures(made, "stale_rows") == [0.0] * steps and max(figures(made, "logprob_gap")) < 1e-5
    ages = figures(made, "staleness")
    assert ages[0] == 0 and 0 < max(ages) <= 3 and max(figures(made, "interrupted_fraction")) > 0
    (path,) = (tmp_path / "run").glob("*-reasoning_rl/rollouts.jsonl")
    spans = [line.weight_spans for line in RolloutRow.read_lines(path) if line.weight_spans]
    assert spans and all(len(one) > 1 for one in spans)
    for one in spans:
        assert [part.staleness for part in one] == sorted((part.staleness for part in one), reverse=True)
        assert one[0].first_token == 0 and one[0].staleness <= 3
    problems = [(line.step, line.problem) for line in RolloutRow.read_lines(path)]
    assert all(len({name for at, name in problems if at == step}) == 2 for step in range(1, steps + 1))


def test_rows_that_are_older_are_dropped_and_counted(
    unsure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group's mean is of its other rows, and a step of old rows alone changes nothing."""

    def trained(ages: Callable[[int], int]) -> tuple[Any, float]:
        made = trainer(unsure, tmp_path / f"run-{ages(0)}", monkeypatch, "transformers", 1, 0)
        made._max_staleness = 1
        roll_out = made._rollouts.roll_out

        def aged(problem_ids: Sequence[str], step: int, weights: Any, following: Any = ()) -> RolledOut:
            rolled = roll_out(problem_ids, step, weights)
            rows = [replace(row, staleness=ages(place)) for place, row in enumerate(rolled.rows)]
            return RolledOut(rows, [float(ages(place)) for place in range(len(rows))], rolled.figures)

        made._rollouts.roll_out = aged
        before = {name: value.clone() for name, value in made.model.named_parameters()}
        made.train()
        return made, max(
            float((value.detach() - before[name]).abs().max()) for name, value in made.model.named_parameters()
        )

    some, changed = trained(lambda place: (0, 1, 2)[place % 3])
    assert figures(some, "stale_rows") == [5.0] and figures(some, "reward") == [5 / 11] and changed > 0
    none, changed = trained(lambda place: 2 + place % 2)
    assert figures(none, "stale_rows") == [16.0] and changed == 0


def test_a_stage_that_fails_does_not_wait_for_what_is_sampled_ahead(
    unsure: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stand_ins(1) as (server,):
        engine = f"{{type: vllm_server, endpoints: ['{server.address}']}}"
        made = trainer(unsure, tmp_path / "run", monkeypatch, engine, 4, 1)
        server.plant("hang", after=20)  # in the middle of the second step's

        def fails(*_: Any) -> None:
            raise ValueError("a loss that cannot be computed")

        monkeypatch.setattr(made, "_compute_loss", fails)
        began = time.monotonic()
        with pytest.raises(ValueError, match="cannot be computed"), made._rollouts._context.at_end:
            made.train()
        assert made._rollouts._ahead._work[1][1].exception(timeout=30) is not None
        assert time.monotonic() - began < 30, "the server hangs for 60 s"


def test_a_dropped_row_keeps_its_place_without_a_reward_and_without_loss() -> None:
    rows = [Row([1], [2, 3], [-1.0, -1.0], [True, True], False, staleness=age) for age in (0, 3, 1)]
    rolled = RolledOut(rows, [1.0, 0.5, None], {"stale_rows": 2.0})
    kept = without_stale(rolled, 1)
    assert [row.sampled for row in kept.rows] == [[True, True], [False, False], [True, True]]
    assert kept.rewards == [1.0, None, None] and kept.figures == {"stale_rows": 3.0}
    assert without_stale(rolled, 3) is rolled


def test_what_was_sampled_for_other_problems_than_a_step_asks_for_is_counted() -> None:
    ahead: Ahead[str] = Ahead(2)
    assert ahead.taken(1, ["a"]) == (None, 0)
    ahead.begin(1, ["a", "a"], lambda: "made")
    ahead.begin(2, ["a", "b"], lambda: "made later")
    assert ahead.has(1) and ahead.taken(1, ["a", "a"]) == ("made", 0) and not ahead.has(1)
    assert ahead.taken(2, ["b", "b"]) == (None, 2) and ahead.taken(2, ["a", "b"]) == (None, 0)

    def fails() -> str:
        raise VerdictsUnavailable("judge", 16, 16, "no answer")

    ahead.begin(3, ["a"], fails)
    with pytest.raises(VerdictsUnavailable):
        ahead.taken(3, ["a"])


def test_a_step_that_was_begun_keeps_its_problems_while_the_pool_learns() -> None:
    """Else what two steps ahead was sampled would be thrown away, since each step in between teaches the pool."""
    names, rollout = [f"p{number}" for number in range(64)], Rollout(generations=2, problems_per_step=4)
    problems = StepProblems(names, rollout, 7, Ranks(), DifficultyPool(names, 0.5, 7))
    given = names[:4] * 2
    begun = [problems.asked(step, given) for step in (0, 1, 2)]
    for step in range(8):
        asked = problems.asked(step, given)
        assert step > 2 or asked == begun[step]
        found = [Outcome(name, 2, 0.5, 0.25 if int(name[1:]) % 3 else 0.0, 1) for name in dict.fromkeys(asked)]
        problems.learn(step, found)
    assert problems.asked(2, given) != begun[2], "a step that is over is not remembered"


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_problems_of_a_later_step_are_known_before_it(shuffle: bool) -> None:
    """In every epoch, the rows that do not fill a step included."""
    sampler = EpochSampler(range(11), mini_repeat_count=2, batch_size=3, repeat_count=1, shuffle=shuffle, seed=5)
    asked: list[int] = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        asked += list(sampler)
    known = [index for step in range(9) for index in sampler.problems_of(step) for _ in range(2)]
    assert known == asked and len(asked) == 54
