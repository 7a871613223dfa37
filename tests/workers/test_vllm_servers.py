"""vLLM's own servers behind the pool: started, asked, given weights, killed, and gone with whoever started them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from stand_in import BASE, settings
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.core.errors import EngineError
from alignment.inference.engine import Engine, Generation, GenerationRequest, SamplingSettings, in_order
from alignment.inference.start import start_engine
from alignment.inference.thinking_budget import ThinkTokens
from alignment.inference.vllm.kind import vllm_fault
from alignment.inference.vllm.server.client import ServerClient
from alignment.inference.vllm.server.pool import ServerPool
from alignment.inference.weights.merged import adapter_weights
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.sampling import ThinkingBudget
from alignment.run.process_environment import environment
from process_tree import descendants

pytestmark = pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault()))
TOKENS = ThinkTokens.of(AutoTokenizer.from_pretrained(BASE), "\n</think>\n\n")
HOT = SamplingSettings(temperature=0.8, top_p=0.95, top_k=20)
PROBE = [5, 20, 9, 33, 100, 7, 8, 12]


def requests(count: int, max_tokens: int = 12) -> list[GenerationRequest]:
    budgets = (None, ThinkingBudget(most=2), None)
    return [
        GenerationRequest(
            [5 + number % 7, TOKENS.open_id, 9 + number % 3], "thinking", budgets[number % 3], max_tokens, seed=number
        )
        for number in range(count)
    ]


def tokens(made: list[Generation]) -> list[list[int]]:
    return [one.token_ids for one in made]


@pytest.fixture(scope="module")
def preloaded() -> Iterator[None]:
    """The environment of a stage's process, which a server inherits."""
    held = dict(os.environ)
    os.environ.update(environment(Hardware(), offline=True))
    yield
    os.environ.clear()
    os.environ.update(held)


@pytest.fixture(scope="module")
def alone() -> Engine:
    return start_engine(replace(settings(), thinking=TOKENS))


@pytest.fixture(scope="module")
def started(preloaded: None) -> Iterator[ServerPool]:
    pool = start_engine(replace(settings(type="vllm_server", workers=1, max_sequences=16), thinking=TOKENS))
    assert isinstance(pool, ServerPool)
    yield pool
    pool.close()


def test_a_server_samples_what_the_engine_in_this_process_samples(started: ServerPool, alone: Engine) -> None:
    """With seeds of their own, with budgets and without, log-probs included."""
    if torch.cuda.is_available():
        pytest.skip("on a GPU vLLM seeds rows in its own way")
    made, expected = in_order(started.generate(requests(30), HOT)), in_order(alone.generate(requests(30), HOT))
    same = [one == other for one, other in zip(tokens(made), tokens(expected), strict=True)]
    assert sum(same) >= 29, "rounding may tip one over"
    assert sum(one.forced == other.forced for one, other in zip(made, expected, strict=True)) >= 29
    assert any(one.forced_tokens for one in made)
    assert made[7].logprobs == pytest.approx(expected[7].logprobs, abs=1e-3)
    assert {one.stop_reason for one in made} == {one.stop_reason for one in expected}
    assert started.logprobs([PROBE])[0] == pytest.approx(alone.logprobs([PROBE])[0], abs=1e-3)


def test_weights_reach_a_server_and_are_proven(started: ServerPool) -> None:
    """The check reads log-probs before the first load, and after changed matrices and true ones again."""
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    before = started.logprobs([PROBE])[0]
    check_weight_sync(started, lambda: iter(model.named_parameters()), PROBE)
    assert started.logprobs([PROBE])[0] == before, "the true weights bring back every log-prob exactly"
    assert started.weight_version == 4


def test_completions_go_on_over_a_change_of_weights_with_log_probs_of_the_weights_that_they_name(
    started: ServerPool,
) -> None:
    """vLLM ends what is under way and says how far it came; the rest is sampled by the new weights, budgets included."""
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    first, made = started.weight_version, list[tuple[int, Generation]]()
    long = [
        GenerationRequest(
            [5 + one, TOKENS.open_id, 9], "thinking", ThinkingBudget(most=90) if one % 2 else None, 200, one
        )
        for one in range(16)
    ]
    expected = {first: [], first + 1: []}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "mlp" in name:
                parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
    thread = threading.Thread(target=lambda: made.extend(started.generate(long, SamplingSettings(temperature=1.5))))
    thread.start()
    time.sleep(0.4)
    started.load_weights(iter(model.named_parameters()))
    thread.join(120)
    whole = in_order(made)
    assert [one.request for one in whole] == long and any(len(one.versions) == 2 for one in whole)
    sequences = [[*one.request.prompt_ids, *one.token_ids] for one in whole]
    expected[first + 1] = started.logprobs(sequences)
    started.load_weights(iter(AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).named_parameters()))
    expected[first] = started.logprobs(sequences)
    for number, one in enumerate(whole):
        ends = [*(start for start, _ in one.versions[1:]), len(one.token_ids)]
        for (start, version), end in zip(one.versions, ends, strict=True):
            for place in range(start, end):
                if not one.forced[place]:
                    assert one.logprobs[place] == pytest.approx(expected[version][number][place + 2], abs=1e-3)


def test_a_server_forgets_shared_prefixes_with_the_weights(started: ServerPool, alone: Engine) -> None:
    """Prompts that share more than a block of vLLM's cache: each change of weights is that of the engine in this process."""
    shared = [5 + place % 90 for place in range(140)]
    asked = [GenerationRequest([*shared, 9 + one % 3], "thinking", max_tokens=16, seed=one) for one in range(12)]
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    true = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    louder = {name: weight * 1.4 if "mlp" in name else weight for name, weight in true.items()}
    found: list[list[list[int]]] = []
    for weights in (None, louder, true):
        for engine in (started, alone):
            if weights is not None:
                engine.load_weights(iter(weights.items()))
            found.append(tokens(in_order(engine.generate(asked, HOT))))
    if not torch.cuda.is_available():  # on a GPU vLLM seeds rows in its own way
        for ours, theirs in zip(found[::2], found[1::2], strict=True):
            assert sum(one == other for one, other in zip(ours, theirs, strict=True)) >= 11, "rounding may tip one over"
    assert found[0] == found[4] != found[2]


def test_a_server_asks_for_its_key(started: ServerPool) -> None:
    client = started._fleet.servers[0].client
    for method, path, key in (("GET", "/weight_info", ""), ("POST", "/collective_rpc", "wrong")):
        with pytest.raises(EngineError, match="status 401"):
            ServerClient(client.address, key).ask(method, path, {})
    assert client.address.startswith("http://127.0.0.1:") and len(client.key) > 20


@pytest.mark.long
def test_a_model_that_vllm_cannot_serve_is_said_with_the_end_of_its_log(tmp_path: Path, preloaded: None) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3", "architectures": ["Nothing"]}))
    broken = replace(settings(type="vllm_server", workers=1), model=str(tmp_path), thinking=None)
    with pytest.raises(EngineError, match=r"ended with status 1; the end of its log, .*worker-1.log"):
        start_engine(broken)


@pytest.mark.long
def test_no_server_outlives_whoever_started_it(tmp_path: Path) -> None:
    """A killed trainer can end nothing: Linux ends the server, and the engine's process inside it."""
    script = tmp_path / "start.py"
    script.write_text(
        "import time\nfrom stand_in import settings\nfrom dataclasses import replace\n"
        "from alignment.inference.start import start_engine\n"
        "pool = start_engine(replace(settings(type='vllm_server', workers=1), thinking=None))\n"
        "print('ready', flush=True)\ntime.sleep(600)\n"
    )
    paths = f"{Path(__file__).parent}:{Path(__file__).parents[2]}"
    env = environment(Hardware(), offline=True) | {"PYTHONPATH": paths}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=env) as trainer:
        assert trainer.stdout is not None and trainer.stdout.readline() == "ready\n"
        servers = descendants(trainer.pid)
        assert len(servers) >= 2, "the server, and its engine"
        trainer.kill()
    until = time.monotonic() + 30
    while time.monotonic() < until and any(_is_alive(pid) for pid in servers):
        time.sleep(0.1)
    assert not [pid for pid in servers if _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.long
def test_an_adapter_reaches_a_server_by_itself_and_is_proven(preloaded: None) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    policy = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    chosen = settings(type="vllm_server", workers=1, weight_transfer="lora")
    chosen = replace(chosen, adapter=policy.peft_config["default"])
    pool = start_engine(replace(chosen, thinking=TOKENS))
    check_weight_sync(pool, lambda: adapter_weights(policy), PROBE)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.copy_(0.1 * torch.randn_like(parameter))
        logprobs_TV = policy(input_ids=torch.tensor([PROBE])).logits[0, :-1].log_softmax(-1)
    expected = logprobs_TV.gather(-1, torch.tensor(PROBE[1:])[:, None])[:, 0].tolist()
    assert pool.logprobs([PROBE])[0] != pytest.approx(expected, abs=0.01)
    pool.load_weights(adapter_weights(policy))
    assert pool.logprobs([PROBE])[0] == pytest.approx(expected, abs=1e-3)
    (made,) = in_order(pool.generate(requests(1), SamplingSettings()))
    assert pool.logprobs([made.request.prompt_ids + made.token_ids])[0][2:] == pytest.approx(made.logprobs, abs=1e-3)
    pool.close()


@pytest.mark.long
def test_a_killed_servers_requests_go_to_the_other_and_weights_go_on(
    preloaded: None, alone: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen = settings(type="vllm_server", workers=2, max_sequences=8, weight_transfer="tcp")
    pool = start_engine(replace(chosen, thinking=TOKENS))
    assert isinstance(pool, ServerPool)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    check_weight_sync(pool, lambda: iter(model.named_parameters()), PROBE)
    victim = pool._fleet.servers[0]
    running = pool.generate(requests(40, max_tokens=60), HOT)
    first = next(running)
    assert victim.launched is not None and victim.load
    victim.launched.process.kill()
    made, expected = in_order([first, *running]), in_order(alone.generate(requests(40, max_tokens=60), HOT))
    assert sum(one == other for one, other in zip(tokens(made), tokens(expected), strict=True)) >= 38
    said = capfd.readouterr().err
    assert f"process {victim.launched.process.pid}) was killed by signal 9. 1 other(s) take its" in said
    assert pool.load_weights(iter(model.named_parameters())) == pool.weight_version
    assert tokens(in_order(pool.generate(requests(4), HOT))) == tokens(in_order(alone.generate(requests(4), HOT)))
    pool.close()


@pytest.mark.long
def test_an_engine_that_stops_behind_its_server_is_named_within_half_a_minute_and_given_up(
    preloaded: None, alone: Engine, capfd: pytest.CaptureFixture[str]
) -> None:
    """The server's own process answers still; the weight version that it is asked for comes from the engine."""
    chosen = settings(type="vllm_server", workers=2, max_sequences=8, patience_seconds=24)
    pool = start_engine(replace(chosen, thinking=TOKENS))
    assert isinstance(pool, ServerPool)
    victim = pool._fleet.servers[1]
    assert victim.launched is not None
    running = pool.generate(requests(40, max_tokens=60), HOT)
    found, stopped = [next(running)], time.monotonic()
    for process in descendants(victim.launched.process.pid):
        os.kill(process, signal.SIGSTOP)
    named = 0.0
    while not named and time.monotonic() - stopped < 60:
        time.sleep(0.2)
        named = time.monotonic() - stopped if victim.named or victim.lost else 0.0
    assert 0 < named < 30
    found += running
    made, expected = in_order(found), in_order(alone.generate(requests(40, max_tokens=60), HOT))
    assert sum(one == other for one, other in zip(tokens(made), tokens(expected), strict=True)) >= 38
    said = capfd.readouterr().err
    assert f"engine worker 2 of 2 ({victim.place}, {victim.client.address}" in said
    assert "has not answered since" in said and "completions (" in said and "it is given up after 24 s" in said
    assert not _is_alive(victim.launched.process.pid), "what does not answer is ended"
    pool.close()
