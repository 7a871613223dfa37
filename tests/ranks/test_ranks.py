"""Several ranks train what one process trains: supervised, preferences and RL, whole weights and adapters, by DDP, ZeRO and FSDP2.

rank_jobs.py does the training, all jobs of a launcher config in one start. What is compared is the policy that a stage
leaves. Rows without a gradient are on both ranks in the first RL step, on all of one rank in the second, nowhere in the
third.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml
from forked_ranks import LOG, asked, listening
from safetensors.torch import load_file

from alignment.core.resources import resource
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.forks.server import SHARED
from alignment.run.launcher import launcher_config
from alignment.run.process_environment import environment
from distillation.teacher_server import KEY, served

SCRIPT = Path(__file__).with_name("forked_ranks.py")
ZERO3 = ("sft", "sft_resumed", "sft_lora", "sft_moe", "dpo", "rl", "rl_gspo", "rl_gspo_every_row", "rl_kl", "rl_lora",
         "rl_sampled", "prm", "reward_model", "distill", "distill_served")  # fmt: skip
# DeepSpeed alone shares packs, and a process that has shared some trains nothing else after them.
SHARED_PACKS = ("sft_shared", "sft_shared_resumed", "sft_shared_lora")
KILLED = ("sft_resumed", "sft_lora", "sft_lora_resumed", "rl_resumed")
ALONE = ("rl_gspo_every_row",)  # compared with rl_gspo
# Adapters on kinds of model that are trained alone under the same launcher config.
ADAPTERS = ("sft_dora", "prm_lora", "reward_model_lora", "distill_lora")
# One start for each, with a job of every kind of weights and losses that is its own.
JOBS = {
    "cpu-2": (
        "sft",
        "sft_resumed",
        "rl",
        "rl_gspo",
        "rl_papo",
        "rl_pure",
        "prm",
        "prm_expanded",
        "reward_model",
        "distill",
    ),
    "cpu-zero3": (*ZERO3, *SHARED_PACKS),
    "cpu-fsdp2": ("sft", "sft_resumed", "sft_lora", "sft_moe", "dpo", "rl", "rl_lora", "rl_sampled", "distill"),
}
LONG = {
    "cpu-2": ("sft", "rl", "rl_vine", "rl_grpo_process", *KILLED),
    "cpu-zero3": ("sft", "rl", *KILLED, *ADAPTERS),
    "cpu-fsdp2": (*ZERO3, *ADAPTERS, "sft_lora_resumed", "rl_resumed"),
    "cpu-ddp": (*ZERO3, *ADAPTERS, "sft_lora_resumed", "rl_resumed"),
}
ONE, ONE_LONG = (
    tuple(dict.fromkeys(job for jobs in table.values() for job in jobs if job not in ALONE and "_resumed" not in job))
    for table in (JOBS, LONG)
)
COMPARED = [
    *((config, job, JOBS) for config, jobs in JOBS.items() for job in jobs if job not in ALONE),
    *(
        pytest.param(config, job, LONG, marks=pytest.mark.long)
        for config, jobs in LONG.items()
        for job in jobs
        if job not in (*ALONE, *JOBS.get(config, ()))
    ),
]
STARTS = int(os.environ.get("ALIGNMENT_STARTS", "8"))  # more of them: ALIGNMENT_STARTS=50 pytest -m long -k no_start_of
STARTED, PATIENCE = ("sft_lora", "dpo", "rl", "rl_sampled"), 240.0  # seconds for all of them; a few are enough
Weights = dict[str, torch.Tensor]
Alone = Callable[[str], Path]


def trained(folder: Path, config: str, processes: int, jobs: tuple[str, ...], patience: float | None = None) -> Path:
    """The run in which the jobs were trained under a launcher config. patience: as in `asked`.

    A compiler's lock lies in the cache, left by a process that was killed: a start that compiles would wait for ever.
    """
    hardware, log = Hardware(accelerate=config, processes=processes), folder / "log"
    config_file = ["--config_file", str(launcher_config(hardware).path), "--num_processes", str(processes)]
    left = folder / "extensions/deepspeed_shm_comm/lock"
    left.parent.mkdir(parents=True)
    left.touch()
    log.touch()
    env = {**environment(hardware, offline=True), "TORCH_EXTENSIONS_DIR": str(folder / "extensions"), LOG: str(log)}
    status = asked(["-m", "forked_ranks", "--", *config_file, str(SCRIPT), str(folder), *jobs], env, patience)
    assert status == 0, log.read_text(encoding="utf-8")[-8000:]
    return folder / "run"


@pytest.fixture(scope="module", autouse=True)
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A process that has imported what ranks import, and a teacher behind a server."""
    door = tmp_path_factory.mktemp("door") / "socket"
    imported = environment(Hardware(accelerate="cpu"), offline=True)
    with pytest.MonkeyPatch.context() as patch, listening(door, imported), served(resource("data/base")) as (_, url):
        for name, value in {SHARED: str(door), "TEACHER_URL": url, "TEACHER_KEY": KEY}.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def alone(forking: None, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """The run in which one process trained a job: with all of JOBS, or with those that are in LONG alone."""

    @cache
    def started(long: bool) -> Path:
        jobs = tuple(job for job in ONE_LONG if job not in ONE) if long else ONE
        return trained(tmp_path_factory.mktemp("one"), "cpu", 1, jobs)

    return lambda job: started(job not in ONE)


Started = Callable[..., Path]


@pytest.fixture(scope="module")
def together(forking: None, tmp_path_factory: pytest.TempPathFactory) -> Started:
    """The run of two ranks under a launcher config: of the jobs of JOBS, or of LONG."""

    @cache
    def started(config: str, long: bool) -> Path:
        return trained(tmp_path_factory.mktemp("two"), config, 2, (LONG if long else JOBS)[config])

    return lambda config, long=False: started(config, long)


def policy(run: Path, job: str) -> Weights:
    (found,) = run.glob(f"*-{job}/output/model.safetensors")
    return load_file(found)


def started_from(run: Path, job: str) -> Path:
    return run.parent / ("mixture-0" if job == "sft_moe" else "start-0") / "model.safetensors"


def distance(one: Weights, other: Weights) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize(("config", "job", "jobs"), COMPARED, ids=lambda value: value if isinstance(value, str) else "")
def test_two_ranks_leave_the_policy_that_one_process_leaves(
    alone: Alone, together: Started, config: str, job: str, jobs: dict[str, tuple[str, ...]]
) -> None:
    """Also where a stage goes on from the second step's checkpoint, in which each rank has a part."""
    same = job.removesuffix("_resumed")
    expected = policy(alone(same), same)
    assert distance(policy(together(config, long=jobs is LONG), job), expected) < 1e-5
    before = load_file(started_from(together(config, long=jobs is LONG), job))
    alike = [name for name in before if name in expected and expected[name].shape == before[name].shape]
    moved = distance({name: before[name] for name in alike}, {name: expected[name] for name in alike})
    assert moved > 1e-4, "it was trained"


@pytest.mark.long
@pytest.mark.parametrize("config", ["cpu-zero3", "cpu-fsdp2"])
def test_four_ranks_leave_the_policy_that_one_process_leaves(alone: Alone, tmp_path: Path, config: str) -> None:
    jobs = ("sft", "sft_resumed", "dpo", "rl", "rl_lora", *(SHARED_PACKS[:2] if config == "cpu-zero3" else ()))
    run = trained(tmp_path, config, 4, jobs)
    for job in jobs:
        same = job.removesuffix("_resumed")
        assert distance(policy(run, job), policy(alone(same), same)) < 1e-5


@pytest.mark.long
@pytest.mark.timeout(60 + STARTS * (PATIENCE + 5))
def test_no_start_of_two_ranks_hangs_and_each_leaves_the_same_policy(alone: Alone, tmp_path: Path) -> None:
    """In turn under each launcher config, supervised, preferences, RL and RL that samples."""
    for number in range(STARTS):
        run = trained(tmp_path / str(number), tuple(LONG)[number % len(LONG)], 2, STARTED, PATIENCE)
        for job in STARTED:
            assert distance(policy(run, job), policy(alone(job), job)) < 1e-5, (number, job)
        shutil.rmtree(tmp_path / str(number))


@pytest.mark.parametrize(
    "config", ["cpu-zero3", *(pytest.param(one, marks=pytest.mark.long) for one in ("cpu-fsdp2", "cpu-ddp"))]
)
def test_rows_that_are_left_out_on_each_rank_change_nothing(together: Started, config: str) -> None:
    run = together(config, long=config != "cpu-zero3")
    assert distance(policy(run, "rl_gspo"), policy(run, "rl_gspo_every_row")) < 1e-6


@pytest.mark.parametrize(
    ("config", "job"),
    [("cpu-zero3", "sft_lora"), ("cpu-zero3", "rl_lora"), ("cpu-fsdp2", "sft_lora"),
     *(pytest.param(one, "sft_dora", marks=pytest.mark.long) for one in ("cpu-zero3", "cpu-fsdp2"))],
)  # fmt: skip
def test_an_adapter_that_was_trained_in_shards_is_saved_whole(
    alone: Alone, together: Started, config: str, job: str
) -> None:
    sharded = together(config, long=job == "sft_dora")
    whole, shards = (
        load_file(next(run.glob(f"*-{job}/output/adapter/adapter_model.safetensors"))) for run in (alone(job), sharded)
    )
    assert all(weight.numel() for weight in shards.values())
    assert distance(shards, whole) < 1e-5


@pytest.mark.parametrize("config", ["cpu-zero3", "cpu-fsdp2"])
def test_each_rank_samples_from_the_policy_that_is_trained_in_shards(together: Started, config: str) -> None:
    (metrics,) = together(config).glob("*-rl_sampled/metrics.jsonl")
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 3
    assert all(line["logprob_gap"] < 1e-5 for line in lines)


def test_a_resumed_stage_took_the_last_step_alone(together: Started) -> None:
    (state,) = together("cpu-fsdp2").glob("*-sft_resumed/losses.json")
    assert len(json.loads(state.read_text(encoding="utf-8"))) == 3, "two from the checkpoint, one of its own"


def test_gradients_are_clipped_as_the_recipe_says_under_every_launcher_config() -> None:
    found = {}
    for path in resource("recipes/accelerate").glob("*.yaml"):
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        if settings["distributed_type"] == "DEEPSPEED":
            found[path.stem] = settings["deepspeed_config"]["gradient_clipping"]
    assert set(found) >= {"cpu-2", "cpu-zero3", "zero2", "zero3", "multi-node"}
    assert set(found.values()) == {"auto"}
