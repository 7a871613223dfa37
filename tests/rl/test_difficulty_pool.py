"""Problems whose completions sometimes succeed are asked more often, all others now and then, and a resumed stage goes on alike."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from alignment.core.resources import resource
from alignment.records.difficulty import DifficultyState
from alignment.records.rollout import RolloutRow
from alignment.rollout.difficulty import DifficultyPool, Outcome
from grpo_trainer import grpo_trainer

GROUP, PER_STEP = 8, 8
# A third is never solved, a third always, a third half of the time.
RATES = {f"p{number:02}": (0.0, 0.5, 1.0)[number % 3] for number in range(60)}


def outcome(problem: str, step: int, generations: int = GROUP) -> Outcome:
    """What a policy that does not learn makes of a problem."""
    draw = random.Random(f"{problem} {step}")
    right = sum(draw.random() < RATES[problem] for _ in range(generations))
    rate = right / generations
    return Outcome(problem, generations, rate, rate * (1 - rate), right)


def steps_of(pool: DifficultyPool, steps: range) -> list[list[str]]:
    """The problems of each step; the pool learns from all of them."""
    asked = []
    for step in steps:
        asked.append(pool.ordered(step)[:PER_STEP])
        pool.observe(step, [outcome(name, step) for name in asked[-1]])
    return asked


def test_a_step_asks_for_problems_whose_rewards_vary_and_still_for_every_other_one() -> None:
    """In the order of epochs two thirds of all groups have no signal."""
    asked = steps_of(DifficultyPool(list(RATES), 0.25, seed=3), range(60))
    assert all(len(set(names)) == PER_STEP for names in asked), "no problem twice in a step"
    late = [RATES[name] == 0.5 for names in asked[20:] for name in names]
    assert sum(late) / len(late) > 0.65
    seen = Counter(name for names in asked for name in names)
    assert set(seen) == set(RATES) and min(seen.values()) >= 2, "what is too hard now may be learnt later"


def test_few_problems_are_asked_again_while_few_are_known() -> None:
    """The same ones at every step would be learnt by heart."""
    names = [f"p{number:04}" for number in range(1000)]
    pool, known, again = DifficultyPool(names, 0.25, seed=1), set[str](), list[int]()
    for step in range(16):
        asked = pool.ordered(step)[:16]
        again.append(len(known & set(asked)))
        assert again[-1] <= len(known) / 8
        pool.observe(step, [Outcome(name, 8, 0.5, 0.25, 4) for name in asked])
        known |= set(asked)
    assert again[:3] == [0, 2, 3] and again[-1] == 12, "three quarters, once a hundred are known"


def test_a_problem_that_becomes_solvable_is_found_again() -> None:
    pool = DifficultyPool(["easy", "hard", "known"], 0.25, seed=0)
    for step in range(4):
        pool.observe(step, [Outcome("hard", 8, 0.0, 0.0, 0), Outcome("easy", 8, 1.0, 0.0, 8)])
        pool.observe(step, [Outcome("known", 8, 0.5, 0.25, 4)])
    before = pool.expected_variance(4)
    assert before["known"] > 5 * before["hard"] and before["hard"] == before["easy"]
    pool.observe(4, [Outcome("hard", 8, 0.5, 0.25, 4)])
    assert pool.expected_variance(5)["hard"] > 0.15
    assert before["hard"] < pool.expected_variance(200)["easy"], "an old estimate is worth less"


def test_a_pass_rate_is_that_of_all_ranks_in_whatever_order_they_report(tmp_path: Path) -> None:
    """A group may lie on two ranks in parts."""
    whole, parts = (DifficultyPool(list(RATES), 0.25, seed=3) for _ in range(2))
    for step in range(5):
        outcomes = [outcome(name, step) for name in whole.ordered(step)[:PER_STEP]]
        whole.observe(step, outcomes)
        split = [Outcome(one.problem, part, float(value), 0.0, value * part) for one in outcomes for value, part in
                 ((1, one.right or 0), (0, GROUP - (one.right or 0))) if part]  # fmt: skip
        parts.observe(step, reversed(split))
    for one, other in zip(whole.state().problems, parts.state().problems, strict=True):
        assert (one.problem, one.visits, one.last_step) == (other.problem, other.visits, other.last_step)
        assert one.variance == pytest.approx(other.variance) and one.pass_rate == pytest.approx(other.pass_rate)


def test_a_pool_that_is_read_from_a_file_asks_for_the_same_problems(tmp_path: Path) -> None:
    whole = DifficultyPool(list(RATES), 0.25, seed=3)
    steps_of(whole, range(20))
    whole.state().write(tmp_path / "difficulty.json")
    resumed = DifficultyPool(list(RATES), 0.25, seed=3)
    resumed.restore(DifficultyState.read(tmp_path / "difficulty.json"))
    assert steps_of(resumed, range(20, 30)) == steps_of(whole, range(20, 30))
    assert steps_of(DifficultyPool(list(RATES), 0.25, seed=4), range(1)) != steps_of(
        DifficultyPool(list(RATES), 0.25, seed=3), range(1)
    )


def test_a_stage_that_is_resumed_asks_for_the_problems_that_it_would_have_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And records what it drew. Two problems a step of twelve, also in a second epoch."""
    from alignment.training.main import complete

    (tmp_path / "reward.py").write_text(
        "def eights(completions):\n    return [float('8' in text) for text in completions]\n"
    )
    chosen = {
        "data": "[{source: chain-sum, split: reasoning, count: 12, seed: 2}]",
        "rollout.order": "{by: reward_variance, explore: 0.5}",
        "rollout.problems_per_step": "2",
        "rollout.max_completion_tokens": "8",
        "rewards": f"[{{kind: '{tmp_path}/reward.py:eights'}}]",
        "save_every_steps": "7",
        "trainer": "{max_steps: 9, learning_rate: 1.0e-3}",
    }
    settings = [f"stages.reasoning_rl.{name}={value}" for name, value in chosen.items()]

    def trained(checkpoint: Path | None) -> Any:
        made = grpo_trainer(resource("data/base"), tmp_path / "run", monkeypatch, *settings)
        complete(made)
        made.train(resume_from_checkpoint=checkpoint and str(checkpoint))
        return made

    whole = trained(None)
    (folder,) = (tmp_path / "run").glob("*-reasoning_rl")
    lines = list(RolloutRow.read_lines(folder / "rollouts.jsonl"))
    asked = {step: {line.problem for line in lines if line.step == step} for step in range(1, 10)}
    assert all(len(names) == 2 for names in asked.values())
    known = DifficultyState.read(folder / "checkpoints/checkpoint-7/difficulty.json").problems
    assert {one.problem for one in known} == set().union(*(asked[step] for step in range(1, 8)))
    assert any(one.visits > 1 and one.pass_rate == one.reward for one in known)

    resumed = trained(folder / "checkpoints/checkpoint-7")
    again = list(RolloutRow.read_lines(folder / "rollouts.jsonl"))[len(lines) :]
    assert {line.step for line in again} == {8, 9}
    assert all({line.problem for line in again if line.step == step} == asked[step] for step in (8, 9))
    logged = [{**line} for line in whole.state.log_history if "new_problems" in line]
    assert logged[0]["new_problems"] == 1 and min(line["new_problems"] for line in logged) < 1
    assert all(0 <= line["sampled_pass_rate"] <= 1 for line in logged) and len(logged) == 9
    after = [line["reward"] for line in resumed.state.log_history if "reward" in line][-2:]
    assert after == [line["reward"] for line in logged][-2:]


def test_tasks_that_teach_nothing_are_drawn_less_and_never_quite_left_out() -> None:
    tasks = {f"p{number:04}": ("never", "sometimes", "always")[number % 3] for number in range(600)}
    rates = {"never": 0.0, "sometimes": 0.5, "always": 1.0}
    pool, asked = DifficultyPool(list(tasks), 0.3, seed=2, tasks=tasks), []
    for step in range(24):
        asked.append(pool.ordered(step)[:10])
        found = [(name, rates[tasks[name]]) for name in asked[-1]]
        pool.observe(step, [Outcome(name, 8, rate, rate * (1 - rate), round(8 * rate)) for name, rate in found])
    names = [name for step in asked for name in step]
    assert len(set(names)) == len(names), "problems that were never asked come first"
    first = Counter(tasks[name] for name in asked[0])
    assert min(first.values()) >= 3, "at first all alike"
    late = Counter(tasks[name] for step in asked[12:] for name in step)
    assert late["sometimes"] > 0.65 * late.total()
    assert min(late["never"], late["always"]) >= 0.08 * late.total(), "a task may become harder or easier again"


def test_a_pool_of_tasks_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    tasks = {name: f"task {number % 4}" for number, name in enumerate(RATES)}
    whole, second = (DifficultyPool(list(RATES), 0.25, seed=5, tasks=tasks) for _ in range(2))
    asked = steps_of(whole, range(8))
    whole.state().write(tmp_path / "difficulty.json")
    second.restore(DifficultyState.read(tmp_path / "difficulty.json"))
    assert asked + steps_of(second, range(8, 12)) == asked + steps_of(whole, range(8, 12))
