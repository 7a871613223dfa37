"""Training on rollouts from a vLLM server is training on rollouts from an engine in the process, on one rank and on two."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.launcher import launcher_config
from alignment.run.process_environment import environment

pytestmark = [pytest.mark.skipif(bool(vllm_fault()), reason=str(vllm_fault())), pytest.mark.long]
SCRIPT = Path(__file__).parents[1] / "ranks" / "rank_jobs.py"
MARK = "ALIGNMENT_TEST_FOLDER"  # in the environment of all that a test starts


@pytest.mark.parametrize(("config", "processes"), [("cpu", 1), ("cpu-2", 2), ("cpu-zero3", 2)])
def test_a_server_trains_the_policy_that_an_engine_in_the_process_trains(
    tmp_path: Path, config: str, processes: int
) -> None:
    """Same seeds, same rows, same rewards, same weights in the end; two ranks share one server."""
    run = trained(tmp_path, config, processes, "rl_sampled", "rl_server")
    here, server = (next(run.glob(f"*-{name}")) for name in ("rl_sampled", "rl_server"))
    losses, expected = (json.loads((folder / "losses.json").read_text()) for folder in (server, here))
    assert losses == pytest.approx(expected, abs=1e-4) and len(losses) == 3
    figures, known = (
        [json.loads(line) for line in (f / "metrics.jsonl").read_text().splitlines()] for f in (server, here)
    )
    for found, right in zip(figures, known, strict=True):
        assert found["reward"] == pytest.approx(right["reward"], abs=1e-9)
        assert found["logprob_gap"] < 2e-4
    mine, theirs = (load_file(next(folder.glob("output/model.safetensors"))) for folder in (server, here))
    assert max(float((mine[name] - theirs[name]).abs().max()) for name in theirs) < 1e-5


@pytest.mark.parametrize(("config", "processes"), [("cpu", 1), ("cpu-zero3", 2)])
def test_a_policy_that_is_trained_by_an_adapter_is_sampled_by_the_adapter_alone(
    tmp_path: Path, config: str, processes: int
) -> None:
    """At every step the server's log-probs are the trainer's, whose adapter is merged nowhere."""
    run = trained(tmp_path, config, processes, "rl_server_lora")
    lines = (next(run.glob("*-rl_server_lora")) / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3 and all(json.loads(line)["logprob_gap"] < 2e-4 for line in lines)


def test_ranks_that_sample_ahead_ask_for_the_same_problems_and_agree_with_the_server(tmp_path: Path) -> None:
    """On two ranks, with replaced groups: the first step's weights are its own, the others' are a step old, or partly two."""
    run = trained(tmp_path, "cpu-2", 2, "rl_ahead", "rl_partial")
    for job, oldest in (("rl_ahead", [0, 1, 1]), ("rl_partial", [0, 1, 2])):
        (path,) = run.glob(f"*-{job}/metrics.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        ages = [line["staleness"] for line in lines]
        assert ages == oldest if job == "rl_ahead" else all(age <= most for age, most in zip(ages, oldest, strict=True))
        assert all(line["stale_rows"] == 0 and line["logprob_gap"] < 2e-4 for line in lines)


def trained(folder: Path, config: str, processes: int, *jobs: str) -> Path:
    """The run in which the jobs were trained."""
    hardware = Hardware(accelerate=config, processes=processes)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(launcher_config(hardware).path)]
    command = [*launch, "--num_processes", str(processes), str(SCRIPT), str(folder), *jobs]
    env = environment(hardware, offline=True) | {MARK: str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=1400)
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if _has_mark(path, folder)], (
        "all ended with the stage"
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return folder / "run"


def _has_mark(environ: Path, folder: Path) -> bool:
    try:
        return f"{MARK}={folder}" in environ.read_text(errors="replace")
    except OSError:
        return False
