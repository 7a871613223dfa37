"""Rewards are copied and pickled by trainers that start processes of their own: every copy judges, with its own processes."""

import copy
import json
import multiprocessing
import pickle
from typing import Any

import pytest

from rewards import IsolationUnavailable, MissingColumn, RewardsError, VerdictsUnavailable, reward_function, verdicts
from rewards.registry import VERIFIERS

SPECS: list[dict[str, Any]] = [
    {"kind": "math_answer", "workers": 1},
    {"kind": "think_format", "weight": 0.5, "clip": [0.0, 1.0]},
]
ROWS = {"answer": [r"\frac{x}{2}", "7"], "mode": ["non_thinking"] * 2}
COMPLETIONS = [r"\boxed{\frac{2x}{4}}", r"\boxed{8}"]


def judged(reward: Any) -> list[float | None]:
    """Both rows' totals; the first needs a process of the verifier's pool."""
    return reward(["q"] * 2, COMPLETIONS, **ROWS)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda reward: pickle.loads(pickle.dumps(reward))])
def test_a_copy_judges_as_the_original_does_and_neither_ends_the_other(copied: Any) -> None:
    with reward_function(SPECS) as reward:
        assert judged(reward) == [1.5, 0.5]
        with copied(reward) as other:
            assert other.components[0].verifier._pool.process_ids == (), "a copy starts what it needs when it needs it"
            assert judged(other) == [1.5, 0.5]
        assert judged(reward) == [1.5, 0.5]
        assert [one.name for one in other.components] == ["math_answer", "think_format"]


@pytest.mark.parametrize("kind", sorted(VERIFIERS))
def test_every_kind_can_be_pickled_and_copied(kind: str) -> None:
    judge = verdicts([{"kind": kind}])
    for other in (pickle.loads(pickle.dumps(judge)), copy.deepcopy(judge)):
        (component,) = other.__self__.components
        assert (component.name, type(component.verifier)) == (kind, VERIFIERS[kind])


def test_a_copy_of_what_runs_programs_starts_jails_of_its_own() -> None:
    tests = {"form": "calls", "entry_point": "f", "calls": [[1]], "outputs": [2]}
    program = "```python\ndef f(x):\n    return x + 1\n```"
    with reward_function([{"kind": "python_tests", "workers": 1, "timeout_seconds": 5.0}]) as reward:
        try:
            assert reward(["q"], [program], tests=[tests]) == [1.0]
        except IsolationUnavailable as error:
            pytest.skip(str(error))
        with pickle.loads(pickle.dumps(reward)) as other:
            assert other.components[0].verifier._sandbox.limits.timeout_seconds == 5.0
            assert other(["q"], [program], tests=[json.dumps(tests)]) == [1.0]
        assert reward(["q"], [program], tests=[tests]) == [1.0]


def in_a_process(reward: Any, queue: Any) -> None:
    queue.put(judged(reward))
    reward.close()


def test_a_spawned_process_that_is_handed_a_reward_judges_with_it() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    with reward_function(SPECS) as reward:
        process = context.Process(target=in_a_process, args=(reward, queue))
        process.start()
        assert queue.get(timeout=120) == [1.5, 0.5]
        process.join(30)
    assert process.exitcode == 0


def test_an_error_that_crosses_processes_still_says_what_it_said() -> None:
    errors: list[RewardsError] = [
        MissingColumn("math_answer", "answer", ["solution"]),
        VerdictsUnavailable("judge", 5, 8, "judge_timed_out"),
        IsolationUnavailable("no jail here"),
    ]
    for error in errors:
        other = pickle.loads(pickle.dumps(error))
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
