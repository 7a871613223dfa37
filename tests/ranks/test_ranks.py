"""Several ranks train what one process trains: supervised, preferences and RL, whole weights and adapters, ZeRO-2 and 3.

rank_jobs.py does the training, all jobs of a launcher config in one start. What is compared is the policy that a stage
leaves. Rows without a gradient are on both ranks in the first RL step, on all of one rank in the second, nowhere in the third.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from alignment.core.resources import resource
from alignment.recipe.hardware import Hardware
from alignment.run.launcher import launcher_config
from alignment.run.processes import environment

SCRIPT = Path(__file__).with_name("rank_jobs.py")
ONE = (
    "sft",
    "sft_lora",
    "sft_dora",
    "dpo",
    "rl",
    "rl_gspo",
    "rl_kl",
    "rl_lora",
    "prm",
    "prm_lora",
    "reward_model",
    "reward_model_lora",
)
JOBS = {
    "cpu-2": ("sft", "rl", "rl_gspo", "prm", "reward_model"),
    "cpu-zero3": (
        "sft",
        "sft_lora",
        "sft_dora",
        "dpo",
        "rl",
        "rl_gspo",
        "rl_gspo_every_row",
        "rl_kl",
        "rl_lora",
        "rl_sampled",
        "prm",
        "prm_lora",
        "reward_model",
        "reward_model_lora",
    ),
}
COMPARED = [(config, job) for config, jobs in JOBS.items() for job in jobs if job in ONE]
Weights = dict[str, torch.Tensor]


def trained(folder: Path, config: str, processes: int, jobs: tuple[str, ...]) -> Path:
    """The run in which the jobs were trained under a launcher config.

    A compiler's lock lies in the cache, left by a process that was killed: a start that compiles would wait for ever.
    """
    hardware = Hardware(accelerate=config, processes=processes)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(launcher_config(hardware).path)]
    command = [*launch, "--num_processes", str(processes), str(SCRIPT), str(folder), *jobs]
    left = folder / "extensions/deepspeed_shm_comm/lock"
    left.parent.mkdir(parents=True)
    left.touch()
    env = {**environment(hardware, offline=True), "TORCH_EXTENSIONS_DIR": str(folder / "extensions")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return folder / "run"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("one"), "cpu", 1, ONE)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {config: trained(tmp_path_factory.mktemp("two"), config, 2, jobs) for config, jobs in JOBS.items()}


def policy(run: Path, job: str) -> Weights:
    (found,) = run.glob(f"*-{job}/output/model.safetensors")
    return load_file(found)


def distance(one: Weights, other: Weights) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize(("config", "job"), COMPARED)
def test_two_ranks_leave_the_policy_that_one_process_leaves(
    alone: Path, together: dict[str, Path], config: str, job: str
) -> None:
    expected = policy(alone, job)
    assert distance(policy(together[config], job), expected) < 1e-5
    before = load_file(resource("data/base/model.safetensors"))
    assert distance(before, {name: expected[name] for name in before if name in expected}) > 1e-4, "it was trained"


def test_rows_that_are_left_out_on_each_rank_change_nothing(together: dict[str, Path]) -> None:
    run = together["cpu-zero3"]
    assert distance(policy(run, "rl_gspo"), policy(run, "rl_gspo_every_row")) < 1e-6


@pytest.mark.parametrize("job", ["sft_lora", "sft_dora", "rl_lora"])
def test_an_adapter_that_was_trained_in_shards_is_saved_whole(alone: Path, together: dict[str, Path], job: str) -> None:
    whole, shards = (
        load_file(next(run.glob(f"*-{job}/output/adapter/adapter_model.safetensors")))
        for run in (alone, together["cpu-zero3"])
    )
    assert all(weight.numel() for weight in shards.values())
    assert distance(shards, whole) < 1e-5


def test_each_rank_samples_from_the_policy_that_is_trained_in_shards(together: dict[str, Path]) -> None:
    (metrics,) = together["cpu-zero3"].glob("*-rl_sampled/metrics.jsonl")
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 3
    assert all(line["logprob_gap"] < 1e-5 for line in lines)


def test_gradients_are_clipped_as_the_recipe_says_under_every_launcher_config() -> None:
    found = {}
    for path in resource("recipes/accelerate").glob("*.yaml"):
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        if settings["distributed_type"] == "DEEPSPEED":
            found[path.stem] = settings["deepspeed_config"]["gradient_clipping"]
    assert set(found) >= {"cpu-2", "cpu-zero3", "zero2", "zero3", "multi-node"}
    assert set(found.values()) == {"auto"}
