"""Engines in processes of their own: together they give what one gives, and one that dies loses nothing."""

import itertools
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alignment.core import machine
from alignment.core.errors import EngineError
from alignment.core.resources import resource
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems
from alignment.evaluation.answering import Evaluator, Question
from alignment.inference.engine import (
    EngineSettings,
    Generation,
    GenerationRequest,
    SamplingSettings,
    in_order,
)
from alignment.inference.pool import EnginePool
from alignment.inference.start import start_engine
from alignment.inference.thinking_budget import ThinkTokens
from alignment.inference.wire import (
    generation_from_json,
    generation_to_json,
    request_from_json,
    request_to_json,
    settings_from_json,
    settings_to_json,
)
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.sampling import ThinkingBudget

BASE = str(resource("data/base"))
TOKENS = ThinkTokens(open_id=20, close_id=21, stop_text="", stop_ids=(30, 21, 31))
SETTINGS = EngineSettings(BASE, 256, (2,), 0, engine_options("transformers", max_sequences=8), thinking=TOKENS)
HOT = SamplingSettings(temperature=1.2, top_p=0.95)


def requests(count: int, max_tokens: int = 12) -> list[GenerationRequest]:
    budgets = (None, ThinkingBudget(most=2), None)
    return [
        GenerationRequest(
            [5 + number % 7, 20, 9 + number % 3], "thinking", budgets[number % 3], max_tokens, seed=number
        )
        for number in range(count)
    ]


def begun_without(pool: EnginePool, wanted: list[GenerationRequest]) -> tuple[Iterator[tuple[int, Generation]], int]:
    """A call of which the first worker has its piece, and is killed before it can sample any of it."""
    victim = pool._workers[0]
    os.kill(victim.process.pid, signal.SIGSTOP)
    running = pool.generate(wanted, HOT)
    first = next(running)
    assert first[0] not in victim.numbers and victim.numbers
    os.kill(victim.process.pid, signal.SIGKILL)
    return itertools.chain([first], running), victim.process.pid


@pytest.fixture(scope="module")
def alone() -> list[Generation]:
    """What one engine in this process gives."""
    return in_order(start_engine(SETTINGS).generate(requests(60), HOT))


@pytest.fixture(scope="module")
def pool() -> Iterator[EnginePool]:
    started = start_engine(SETTINGS, workers=3)
    assert isinstance(started, EnginePool)
    yield started
    started.close()


def test_three_workers_give_what_one_engine_gives(pool: EnginePool, alone: list[Generation]) -> None:
    assert pool.name == "transformers" and len({worker.place for worker in pool._workers}) == min(3, machine.cores())
    order = [index for index, _ in pool.generate(requests(60), HOT)]
    assert sorted(order) == list(range(60)) and order != sorted(order), "each comes as it finishes"
    made = in_order(pool.generate(requests(60), HOT))
    assert [one.token_ids for one in made] == [one.token_ids for one in alone]
    assert [one.forced for one in made] == [one.forced for one in alone] and any(one.forced_tokens for one in made)
    assert made[7].logprobs == pytest.approx(alone[7].logprobs, abs=1e-4)
    assert [one.request for one in made] == requests(60)
    assert in_order(pool.generate([], HOT)) == []
    scores = start_engine(SETTINGS).logprobs([[5, 6, 7]])[0]
    assert pool.logprobs([[5, 6, 7]])[0] == pytest.approx(scores, abs=1e-4)


def test_a_call_that_is_given_up_leaves_nothing_behind_for_the_next(pool: EnginePool, alone: list[Generation]) -> None:
    for index, _ in pool.generate(requests(40, max_tokens=30), HOT):
        if index >= 0:
            break
    assert [one.token_ids for one in in_order(pool.generate(requests(60), HOT))] == [one.token_ids for one in alone]


def test_a_pool_takes_no_new_weights(pool: EnginePool) -> None:
    with pytest.raises(EngineError, match="takes no new weights"):
        pool.load_weights(iter(()))


def test_the_requests_of_a_worker_that_dies_are_given_to_another_once(
    pool: EnginePool, alone: list[Generation], capfd: pytest.CaptureFixture[str]
) -> None:
    """The last test of this pool, whose workers it kills."""
    running, first = begun_without(pool, requests(60))
    assert [made.token_ids for made in in_order(running)] == [one.token_ids for one in alone]
    assert f"process {first}) was killed by signal 9. The others take its" in capfd.readouterr().err

    victim, other = pool._workers
    os.kill(victim.process.pid, signal.SIGSTOP)
    running = pool.generate(requests(24), HOT)
    next(running)
    held = len(victim.numbers)
    assert len([next(running) for _ in range(23 - held)]) and not other.numbers, "all is done but what the first has"
    os.kill(other.process.pid, signal.SIGSTOP)  # it will be handed what the other had, and not begin
    os.kill(victim.process.pid, signal.SIGKILL)
    threading.Timer(1.0, os.kill, (other.process.pid, signal.SIGKILL)).start()
    with pytest.raises(
        EngineError, match=rf"process {other.process.pid}\) was killed.*{held} of which another worker had"
    ):
        next(running)


def test_a_worker_that_cannot_start_is_named_with_what_it_was_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('a library is missing')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with pytest.raises(EngineError, match=r"engine worker [12] of 2 \(.*process \d+\) ended with status 1"):
        EnginePool(SETTINGS, 2)


def test_an_evaluation_on_two_workers_is_the_evaluation_on_one() -> None:
    problems = [
        problem
        for problem, _ in zip(
            source_problems(load_source("chain-sum"), seed=1, parameters={}, path=None, splits=("evaluation",)),
            range(10),
            strict=False,
        )
    ]
    found = []
    for workers in (1, 2):
        settings = Evaluations.model_validate(
            {
                "engine": {"type": "transformers", "workers": workers},
                "max_completion_tokens": 24,
                "max_prompt_tokens": 96,
            }
        )
        evaluator = Evaluator(settings, BASE, "test")
        asked = [Question(problem, mode, False) for problem in problems for mode in ("thinking", "non_thinking")]
        rows = evaluator.answers(asked, seed=3)
        assert isinstance(evaluator.sampler.engine, EnginePool) == (workers == 2)
        evaluator.close()
        found.append([(row.problem.id, row.trajectory.text, row.total) for row in rows])
    assert found[0] == found[1]


def test_what_goes_over_the_line_comes_back_as_it_was() -> None:
    (request,) = requests(2)[1:]
    assert request_from_json(request_to_json(request)) == request
    stopping = replace(request, stop_after=(7, 9))
    assert request_from_json(request_to_json(stopping)) == stopping
    made = Generation(request, [1, 2, 3], [-0.1, 0.0, -2.5e-7], [False, True, False], "end")
    assert generation_from_json(request, generation_to_json(made)) == made
    assert settings_from_json(settings_to_json(SETTINGS)) == SETTINGS


def test_cores_and_gpus_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: {3, 4, 5, 9, 10})
    assert machine.core_groups(2) == [[3, 4], [5, 9, 10]]
    assert machine.core_groups(7) == [[3], [4], [5], [9], [10], [3], [4]]
    monkeypatch.setattr(machine, "devices", lambda: ["one", "two", "three"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.visible_gpus() == ["0", "1", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 0")
    assert machine.visible_gpus() == ["2", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.visible_gpus() == []
