"""Stages that are killed outright go on from their last checkpoint and end where an uninterrupted run ends."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alignment.records.run_folder import RunFolder
from smoke.processes import alignment, killed_when, lines
from smoke.small_recipe import cold_start, reasoning_rl, sampled, write_recipe


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and a run of it whose cold start has finished without a kill."""
    folder = tmp_path_factory.mktemp("resume")
    three = {"max_steps": 3, "learning_rate": 1.0e-4}  # one more than the killed stage takes
    recipe = write_recipe(folder / "small.yaml", cold_start(), reasoning_rl(trainer=three), sampled(), evaluations={})
    done = alignment("run", recipe, "--run", folder / "whole", "--stage", "cold_start")
    assert done.returncode == 0, done.stdout + done.stderr
    return recipe, folder / "whole"


def weights(run: Path, stage: str) -> dict[str, Any]:
    manifest = RunFolder(run).find(stage).manifest()
    return {name: facts.sha256 for name, facts in manifest.output.items() if name.endswith(".safetensors")}


def steps(run: Path, stage: str) -> list[dict[str, Any]]:
    text = RunFolder(run).find(stage).metrics.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_killed_sft_stage_ends_with_the_same_weights_bit_for_bit(started: tuple[Path, Path], tmp_path: Path) -> None:
    recipe, whole = started
    metrics = tmp_path / "killed" / "01-cold_start" / "metrics.jsonl"
    arguments = ("run", recipe, "--run", tmp_path / "killed", "--stage", "cold_start")
    killed_when(lambda: lines(metrics) >= 5, *arguments)
    done = alignment(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "resuming cold_start" in done.stdout
    assert weights(tmp_path / "killed", "cold_start") == weights(whole, "cold_start")
    assert [line["step"] for line in steps(tmp_path / "killed", "cold_start")] == list(range(1, 13))


@pytest.mark.parametrize("engine", ["transformers", pytest.param("vllm", marks=pytest.mark.long)])
def test_a_killed_grpo_stage_resumes_with_the_same_rollouts(
    started: tuple[Path, Path], tmp_path: Path, engine: str
) -> None:
    """Guaranteed: the same problems in the same order and groups, the same optimizer state and reference model.

    On a CPU the completions and weights are the same bit for bit as well.
    """
    recipe, after_cold_start = started
    whole, killed = (Path(shutil.copytree(after_cold_start, tmp_path / name)) for name in ("whole", "killed"))
    for run in (whole, killed):
        arguments = ("run", recipe, "--run", run, "--stage", "reasoning_rl")
        arguments += ("--set", f"stages.reasoning_rl.rollout.engine={engine}")
        if run == killed:
            killed_when(lambda: lines(killed / "02-reasoning_rl" / "metrics.jsonl") >= 2, *arguments)
        done = alignment(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    rollouts = [RunFolder(run).find("reasoning_rl").rollouts.read_text(encoding="utf-8") for run in (whole, killed)]
    assert rollouts[0] == rollouts[1]
    assert [line["kl"] for line in steps(whole, "reasoning_rl")] == [
        line["kl"] for line in steps(killed, "reasoning_rl")
    ]
    assert weights(whole, "reasoning_rl") == weights(killed, "reasoning_rl")


def test_a_second_run_does_nothing_and_a_changed_recipe_is_named(started: tuple[Path, Path]) -> None:
    recipe, whole = started
    before = RunFolder(whole).find("cold_start").manifest()
    again = alignment("run", recipe, "--run", whole, "--stage", "cold_start")
    assert again.returncode == 0 and "already finished" in again.stdout
    assert RunFolder(whole).find("cold_start").manifest() == before
    changed = alignment(
        "run", recipe, "--run", whole, "--stage", "cold_start", "--set", "stages.cold_start.trainer.learning_rate=0.002"
    )
    assert changed.returncode == 2
    assert "stage.trainer.learning_rate: 0.001 → 0.002" in changed.stderr
    assert "--redo cold_start" in changed.stderr
