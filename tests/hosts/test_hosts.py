"""Two hosts made of network namespaces train what one host trains: ZeRO-3 on both, and a rollout worker on a third."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from alignment.core.resources import resource
from alignment.recipe.blocks.sampling import ThinkingBudget
from hosts.namespaces import Host, hosts, stand_in_for_ssh, why_not
from smoke.small_recipe import ROLLOUT, cold_start, reasoning_rl, write_recipe

REASON = why_not()
KEY = {"VLLM_API_KEY": "a key of this test"}
PORT = 8000
DIGITS = """
def digits(completions, **kwargs):
    return [sum(letter.isdigit() for letter in one) / max(1, len(one)) for one in completions]
"""
THINKING = json.dumps({"reasoning_start_str": "<think>", "reasoning_end_str": ThinkingBudget().stop_text})
# Steps are small multiples of the gradient where it is small: else Adam makes +-learning_rate of rounding noise.
TRAINER = {"max_steps": 3, "learning_rate": 3.0e-4, "adam_epsilon": 1.0e-3}
HARDWARE = {"accelerate": "cpu-zero3", "processes": 2}


def recipe(path: Path, engine: dict[str, Any]) -> Path:
    """SFT, and RL whose rollouts come from vLLM servers."""
    supervised = cold_start(trainer={**TRAINER, "per_device_train_batch_size": 4})
    options = {"algorithm": {"type": "dapo"}, "micro_batch": 8, "trainer": TRAINER}
    own = path.with_name("digits.py")
    own.write_text(DIGITS, encoding="utf-8")
    options["rewards"] = [{"kind": f"{own}:digits"}]  # in which completions of a policy that answers nothing differ
    rl = reasoning_rl(**options, rollout={**ROLLOUT, "engine": {"type": "vllm_server", **engine}})
    return write_recipe(path, supervised, rl, hardware=HARDWARE, evaluations={})


def alignment(*arguments: object, on: Host) -> "subprocess.CompletedProcess[str]":
    command = on.command(sys.executable, "-m", "alignment.cli", *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=900, env={**os.environ, **KEY}, check=False)


@contextmanager
def rollout_worker(host: Host, log: Path) -> Iterator[str]:
    """A server as docs/rollouts.md starts one; yields its address."""
    serve = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", resource("data/base"), "--host",
             host.address, "--port", PORT, "--dtype", "float32", "--max-model-len", 144, "--enable-scale-out",
             "--no-enable-prefix-caching", "--weight-transfer-config", '{"backend": "alignment"}', "--worker-cls",
             "alignment.inference.vllm.server.cpu_worker.RolloutWorker", "--enforce-eager", "--no-enable-chunked-prefill",
             "--middleware", "alignment.inference.vllm.server.guard.KeyOnEveryRoute", "--reasoning-config", THINKING]  # fmt: skip
    command = host.command(sys.executable, "-m", "alignment.run.processes", *serve)
    environment = {**os.environ, **KEY, "VLLM_SERVER_DEV_MODE": "1", "VLLM_HOST_IP": host.address}
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        asked, until = (
            f"import urllib.request; urllib.request.urlopen('http://{host.address}:{PORT}/health')",
            time.monotonic() + 300,
        )
        while subprocess.run(host.command(sys.executable, "-c", asked), check=False, capture_output=True).returncode:
            assert server.poll() is None and time.monotonic() < until, log.read_text(encoding="utf-8")[-3000:]
            time.sleep(1)
        yield f"http://{host.address}:{PORT}"
    finally:
        server.terminate()
        server.wait(30)


def distance(one: Path, other: Path) -> float:
    a, b = (load_file(run / "output/model.safetensors") for run in (one, other))
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max()) for name in a)


@pytest.mark.long
@pytest.mark.skipif(REASON is not None, reason=str(REASON))
def test_two_hosts_and_a_rollout_worker_on_a_third_leave_what_one_host_leaves(tmp_path: Path) -> None:
    with hosts(3) as (first, second, third):
        here = alignment("run", recipe(tmp_path / "one.yaml", {"workers": 1}), "--run", tmp_path / "one", on=first)
        assert here.returncode == 0, here.stderr
        with rollout_worker(third, tmp_path / "server.log") as address:
            ssh = stand_in_for_ssh(tmp_path / "ssh", [second])
            options = ["--hosts", f"{first.address},{second.address}", "--ssh", ssh, "--run", tmp_path / "two"]
            both = alignment("launch", recipe(tmp_path / "two.yaml", {"endpoints": [address]}), *options, on=first)
        assert both.returncode == 0, both.stdout[-2000:] + both.stderr
    joined = (tmp_path / "two/machines/1-ssh.log").read_text(encoding="utf-8")
    assert "as machine 1 of 2" in joined and "reasoning_rl: finished" in joined
    for stage in ("01-cold_start", "02-reasoning_rl"):
        assert distance(tmp_path / "one" / stage, tmp_path / "two" / stage) < 1e-5
    assert distance(tmp_path / "two/01-cold_start", tmp_path / "two/02-reasoning_rl") > 1e-4, "RL trained"
