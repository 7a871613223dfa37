"""Engine servers as one engine: what one gives, whichever answers, and in words what becomes of one that does not."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in import BASE, StandIn, settings, stand_ins
from transformers import AutoModelForCausalLM

from alignment.core.errors import EngineError
from alignment.data.sources.named import load_source
from alignment.data.sources.rows import source_problems
from alignment.evaluation.answering import Evaluator, Question
from alignment.inference.engine import Generation, GenerationRequest, SamplingSettings, in_order
from alignment.inference.start import start_engine
from alignment.inference.vllm.server import fleet
from alignment.inference.vllm.server.guard import KEY, KeyOnEveryRoute
from alignment.inference.vllm.server.place import Place, places
from alignment.inference.vllm.server.pool import ServerPool
from alignment.inference.weights import blocks
from alignment.inference.weights.carriers import SharedMemory
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.recipe.blocks.engine import VllmServerOptions
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.sampling import ThinkingBudget

HOT = SamplingSettings(temperature=1.2, top_p=0.95)
PROBE = [5, 20, 9, 33, 100, 7, 8, 12]


def requests(count: int, max_tokens: int = 12) -> list[GenerationRequest]:
    budgets = (None, ThinkingBudget(most=2), None)
    return [
        GenerationRequest(
            [5 + number % 7, 20, 9 + number % 3], "thinking", budgets[number % 3], max_tokens, seed=number
        )
        for number in range(count)
    ]


def pool(servers: list[StandIn], **options: Any) -> ServerPool:
    return ServerPool(
        settings(type="vllm_server", endpoints=[one.address for one in servers], max_sequences=4, **options)
    )


@pytest.fixture(scope="module")
def alone() -> list[Generation]:
    """What one engine in this process gives."""
    return in_order(start_engine(settings()).generate(requests(30), HOT))


@pytest.fixture
def two() -> Iterator[list[StandIn]]:
    with stand_ins(2) as servers:
        yield servers


def watch_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a server after a second, which is long enough for one that shares a busy machine."""
    monkeypatch.setattr(fleet, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(fleet, "PROBE_SECONDS", 1.0)
    monkeypatch.setattr(fleet, "NAMED_AFTER", 1.0)


def tokens(made: list[Generation]) -> list[list[int]]:
    return [one.token_ids for one in made]


def test_servers_give_what_one_engine_gives_and_each_row_as_it_finishes(
    two: list[StandIn], alone: list[Generation]
) -> None:
    started = pool(two)
    found = list(started.generate(requests(30), HOT))
    assert sorted(index for index, _ in found) == list(range(30))
    made = in_order(found)
    assert tokens(made) == tokens(alone)
    assert [one.forced for one in made] == [one.forced for one in alone] and any(one.forced_tokens for one in made)
    assert made[7].logprobs == pytest.approx(alone[7].logprobs, abs=1e-4)
    assert [one.request for one in made] == requests(30)
    assert min(server.served for server in two) > 7, "each server works"
    assert in_order(started.generate([], HOT)) == []
    scores = start_engine(settings()).logprobs([PROBE])[0]
    assert started.logprobs([PROBE, PROBE]) == [pytest.approx(scores, abs=1e-4)] * 2
    started.close()


def test_a_call_that_is_given_up_leaves_nothing_behind_for_the_next(
    two: list[StandIn], alone: list[Generation]
) -> None:
    started = pool(two)
    for _ in started.generate(requests(20, max_tokens=30), HOT):
        break
    assert tokens(in_order(started.generate(requests(30), HOT))) == tokens(alone)
    started.close()


def test_a_completion_goes_on_over_a_change_of_weights_and_says_where(two: list[StandIn]) -> None:
    """Each token's log-prob is that of the weights that its span names, given all tokens before it; budgets hold on the way."""
    models = [AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32) for _ in range(2)]
    started, made = pool(two), list[tuple[int, Generation]]()
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
    for server in two:
        server.token_seconds = 0.2
    asked = requests(12, max_tokens=24)
    thread = threading.Thread(target=lambda: made.extend(started.generate(asked, SamplingSettings())))
    thread.start()
    while sum(server.served for server in two) < 6:
        time.sleep(0.01)
    assert started.load_weights(iter(models[1].named_parameters())) == 1
    for server in two:
        server.token_seconds = 0.001
    thread.join(60)
    whole = in_order(made)
    assert [one.request for one in whole] == asked
    spans = [one.versions for one in whole]
    assert {version for one in spans for _, version in one} == {0, 1} and all(one[0][0] == 0 for one in spans)
    assert sum(len(one) == 2 for one in spans) >= 2, "what was under way goes on"
    engines = [start_engine(settings()) for _ in models]
    for engine, model in zip(engines, models, strict=True):
        engine.load_weights(iter(model.named_parameters()))
    for one in whole:
        scores = [engine.logprobs([[*one.request.prompt_ids, *one.token_ids]])[0][2:] for engine in engines]
        ends = [*(start for start, _ in one.versions[1:]), len(one.token_ids)]
        for (start, version), end in zip(one.versions, ends, strict=True):
            for place in range(start, end):
                if not one.forced[place]:
                    assert one.logprobs[place] == pytest.approx(scores[version][place], abs=1e-4)
        assert len(one.token_ids) <= 24 and (one.request.budget is not None or not one.forced_tokens)
    assert any(one.forced_tokens for one in whole)
    started.close()


@pytest.mark.parametrize("way", ["shm", "tcp"])
def test_weights_arrive_exactly_and_are_proven(two: list[StandIn], way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1 << 18)  # many blocks
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    started = pool(two, weight_transfer=way)
    check_weight_sync(started, lambda: iter(model.named_parameters()), PROBE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.02 * torch.randn_like(parameter))
    assert started.load_weights(iter(model.named_parameters())) == started.weight_version == 5
    other = start_engine(settings())
    other.load_weights(iter(model.named_parameters()))
    assert started.logprobs([PROBE])[0] == pytest.approx(other.logprobs([PROBE])[0], abs=1e-5)
    assert tokens(in_order(started.generate(requests(24), HOT))) == tokens(in_order(other.generate(requests(24), HOT)))
    assert len({server.version for server in two}) == 1 and two[0].version.endswith("-5")
    started.close()


def test_an_endpoint_is_given_the_weights_of_the_policy_whatever_it_held(two: list[StandIn]) -> None:
    two[0]._engine.load_weights((name, tensor * 2) for name, tensor in _weights())
    started = pool(two)
    assert started.logprobs([PROBE])[0] == pytest.approx(start_engine(settings()).logprobs([PROBE])[0], abs=1e-5)
    started.close()


def _weights() -> list[tuple[str, torch.Tensor]]:
    return list(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).named_parameters())


def test_an_evaluation_on_servers_is_the_evaluation_on_one_engine(two: list[StandIn]) -> None:
    source = source_problems(load_source("chain-sum"), seed=1, parameters={}, path=None, splits=("evaluation",))
    problems = list(itertools.islice(source, 4))
    found = []
    for engine in ("transformers", {"type": "vllm_server", "endpoints": [server.address for server in two]}):
        chosen = Evaluations.model_validate({"engine": engine, "max_completion_tokens": 16, "max_prompt_tokens": 96})
        evaluator = Evaluator(chosen, BASE, "test")
        asked = [Question(problem, mode, False) for problem in problems for mode in ("thinking", "non_thinking")]
        found.append([(row.problem.id, row.trajectory.text, row.total) for row in evaluator.answers(asked, seed=3)])
        evaluator.close()
    assert found[0] == found[1] and two[0].served and two[1].served


def test_a_server_that_fails_is_named_and_the_other_takes_its_requests(
    two: list[StandIn], alone: list[Generation], capfd: pytest.CaptureFixture[str]
) -> None:
    started = pool(two)
    two[0].plant("fail", after=5)
    assert tokens(in_order(started.generate(requests(30), HOT))) == tokens(alone)
    said = capfd.readouterr().err
    assert said.count("warning: engine worker 1 of 2 (an endpoint, http://127.0.0.1") == 1
    assert 'answered 500: {"error": "the engine is dead"}' in said and "1 other(s) take its" in said
    # Of the four that the first had under way when it failed, those that it had not answered are sampled anew.
    assert 30 <= two[0].served + two[1].served < 34, "what was answered is not sampled again"
    two[1].plant("fail")
    with pytest.raises(EngineError, match=r"no engine worker is left. engine worker 1.*engine worker 2 of 2"):
        list(started.generate(requests(4), HOT))
    started.close()


def test_a_server_that_dies_in_the_middle_of_a_batch_loses_nothing(
    two: list[StandIn], alone: list[Generation], capfd: pytest.CaptureFixture[str]
) -> None:
    """Its connections end without an answer. Each row comes once, and the other server takes new weights."""
    started = pool(two)
    two[0].plant("die", after=5)
    found = list(started.generate(requests(30), HOT))
    assert sorted(index for index, _ in found) == list(range(30)) and tokens(in_order(found)) == tokens(alone)
    assert capfd.readouterr().err.count("warning: engine worker 1 of 2") == 1
    assert started.load_weights(iter(_weights())) == started.weight_version
    assert tokens(in_order(started.generate(requests(30), HOT))) == tokens(alone) and not two[1].fault
    started.close()


def test_a_server_that_hangs_while_it_takes_weights_is_named_and_the_others_get_theirs(
    two: list[StandIn], alone: list[Generation], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch_closely(monkeypatch)
    started = pool(two, patience_seconds=3.0)
    two[0].plant("hang")
    started.load_weights(iter(_weights()))
    said = capfd.readouterr().err
    assert "engine worker 1 of 2" in said and "waited for: weights of version" in said and "was given up" in said
    assert tokens(in_order(started.generate(requests(30), HOT))) == tokens(alone)
    started.close()


def test_a_server_that_hangs_is_named_with_what_it_is_waited_for_and_given_up(
    two: list[StandIn], alone: list[Generation], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fleet.NAMED_AFTER + fleet.WATCH_SECONDS + 2 * fleet.PROBE_SECONDS < 30
    watch_closely(monkeypatch)
    started = pool(two, patience_seconds=6.0)
    two[1].plant("hang", after=3)
    assert tokens(in_order(started.generate(requests(30), HOT))) == tokens(alone)
    said = capfd.readouterr().err
    assert said.count("engine worker 2 of 2") == 2 and "waited for: " in said and "completions (" in said
    assert "has not answered since" in said and "it is given up after 6 s" in said and "was given up" in said
    started.close()


def test_a_server_that_answers_again_is_kept(
    two: list[StandIn], alone: list[Generation], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch_closely(monkeypatch)
    started = pool(two)

    def release() -> None:
        two[1].fault = ""
        two[1].released.set()

    two[1].plant("hang", after=3)
    two[1].after = 10**9
    threading.Timer(4.0, release).start()
    two[1].fault = "hang"
    assert tokens(in_order(started.generate(requests(30), HOT))) == tokens(alone)
    assert "answers again" in capfd.readouterr().err and two[1].served > 0
    started.close()


def test_a_server_that_holds_other_weights_than_it_was_sent_ends_the_call(two: list[StandIn]) -> None:
    started = pool(two)
    two[0].plant("lie", after=4)
    with pytest.raises(
        EngineError, match=r"engine worker 1 of 2.*holds weights of version 'another-7', and '\w+-0' was"
    ):
        list(started.generate(requests(20), HOT))
    started.close()


def test_a_server_with_another_budget_rule_is_refused(two: list[StandIn]) -> None:
    started = pool(two)
    two[0].plant("garble")
    with pytest.raises(EngineError, match="did not write the stop text"):
        list(started.generate(requests(20), HOT))
    started.close()


def test_the_key_comes_from_the_environment_and_a_wrong_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_ins(1, key="open sesame") as servers:
        monkeypatch.setenv("VLLM_API_KEY", "open sesame")
        pool(servers).close()
        monkeypatch.setenv("VLLM_API_KEY", "another")
        with pytest.raises(EngineError, match="refused a request with status 401"):
            pool(servers)


def test_a_launched_server_asks_for_its_key_on_every_route_but_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "k")

    def status(path: str, header: bytes | None) -> int:
        said: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            said.append({"status": 200})

        async def send(message: Any) -> None:
            said.append(message)

        headers = [] if header is None else [(b"authorization", header)]
        scope = {"type": "http", "path": path, "headers": headers}
        asyncio.run(KeyOnEveryRoute(app)(scope, None, send))  # type: ignore[arg-type]
        return int(said[0]["status"])

    for path in ("/update_weights", "/collective_rpc", "/inference/v1/generate", "/weight_info"):
        assert (status(path, None), status(path, b"Bearer x"), status(path, b"Bearer k")) == (401, 401, 200)
    assert status("/health", None) == 200


def test_servers_go_to_gpus_that_no_trainer_holds() -> None:
    eight = [str(number) for number in range(8)]
    assert places(eight, 4, None, 2) == [Place(gpus=("4", "5")), Place(gpus=("6", "7"))]
    assert places(eight, 0, 3, 1) == [Place(gpus=(name,)) for name in "012"]
    with pytest.raises(EngineError, match=r"2 engine worker\(s\) with gpus_each 4 need 8 GPUs beside the trainer's 4"):
        places(eight, 4, 2, 4)
    with pytest.raises(EngineError, match="are free"):
        places(["0"], 1, None, 1)
    assert len({cores for place in places([], 0, 2, 1) for cores in place.cores}) >= 1


def test_what_a_recipe_says_of_servers_is_checked() -> None:
    with pytest.raises(ValueError, match="write one of them"):
        VllmServerOptions(workers=2, endpoints=["http://10.0.0.7:8000"])
    with pytest.raises(ValueError, match="write http://HOST:PORT"):
        VllmServerOptions(endpoints=["10.0.0.7:8000"])


def test_a_table_that_does_not_fit_its_bytes_is_refused() -> None:
    room = torch.zeros(16, dtype=torch.uint8)
    with pytest.raises(ValueError, match="bytes 8 to 24 of a block of 16"):
        list(blocks.tensors([("w", "float32", [4], 8)], room))
    with pytest.raises(ValueError, match="no dtype 'load'"):
        list(blocks.tensors([("w", "load", [4], 0)], room))


def test_tensors_come_out_of_blocks_as_they_went_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4096)
    memory, sent = SharedMemory(), [(f"w{n}", torch.randn(n + 1, 37)) for n in range(30)]
    sent += [("large", torch.randn(4096)), ("ids", torch.arange(5)), ("none", torch.zeros(0, 3))]
    for dtype in (torch.float32, torch.bfloat16):
        got = {}
        for block in blocks.filled(iter(sent), memory, dtype):
            got |= {name: tensor.clone() for name, tensor in blocks.tensors(block.table, memory.room(block.number, 0))}
        assert list(got) == [name for name, _ in sent]
        for name, tensor in sent:
            assert torch.equal(got[name], tensor.to(dtype) if tensor.is_floating_point() else tensor)
    memory.close()
    assert not list(Path("/proc/self/fd").glob("*memfd*"))


def test_the_servers_and_the_waiting_end_with_the_pool(two: list[StandIn]) -> None:
    started, before = pool(two), time.monotonic()
    started.close()
    started.close()
    assert time.monotonic() - before < 10
    while any(thread.name.startswith(("completion", "weights")) for thread in threading.enumerate()):
        assert time.monotonic() - before < 10
        time.sleep(0.05)
