"""Adapters from stage to stage, through imitation, preferences and RL, in the Qwen2.5 order."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from alignment.records.run_folder import RunFolder
from smoke.processes import alignment
from smoke.small_recipe import cold_start, reasoning_rl, sampled, write_recipe
from thinking_policy import a_thinker

LORA = {"rank": 4, "alpha": 8}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    preferences = {
        "name": "preferences", "kind": "dpo", "data": [{"stage": "fusion_data"}], "max_length": 256,
        "lora": {**LORA, "train_tokens": ["<think>", "</think>"]}, "save_every_steps": 1,
        "trainer": {"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 1.0e-4},
    }  # fmt: skip
    gentle = {"max_steps": 12, "per_device_train_batch_size": 2, "learning_rate": 1.0e-4}  # it thinks already
    stages = (
        cold_start(packing=False, trainer=gentle),
        sampled(rewards=[{"kind": "math_answer"}], accept_score=1.0),
        preferences,
        reasoning_rl(lora={**LORA, "adapter": "continue", "train_tokens": ["<think>", "</think>"]}),
    )
    recipe = write_recipe(folder / "small.yaml", *stages, model=str(a_thinker(tmp_path_factory)), evaluations={})
    done = alignment("run", recipe, "--run", folder / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "run"


def test_each_stage_leaves_a_whole_model_and_its_adapter(finished: Path) -> None:
    for stage in ("preferences", "reasoning_rl"):
        output = RunFolder(finished).find(stage).output
        assert (output / "model.safetensors").is_file()
        assert (output / "adapter" / "adapter_model.safetensors").is_file()


def test_every_stage_changes_what_its_adapter_reaches(finished: Path) -> None:
    before = load_file(RunFolder(finished).find("cold_start").output / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    for stage in ("preferences", "reasoning_rl"):
        after = load_file(RunFolder(finished).find(stage).output / "model.safetensors")
        assert set(after) == set(before)
        assert not after[name].equal(before[name])
        before = after


def test_rl_measures_its_divergence_from_the_policy_it_started_from(finished: Path) -> None:
    lines = RunFolder(finished).find("reasoning_rl").metrics.read_text(encoding="utf-8").splitlines()
    divergence = [json.loads(line)["kl"] for line in lines]
    assert abs(divergence[0]) < 1e-4  # the first rollouts come from the reference itself
    assert all(json.loads(line)["logprob_gap"] < 1e-3 for line in lines)
