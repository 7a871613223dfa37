"""A stage of two ranks that is killed, or loses one of them, goes on from its last checkpoint and ends where an unbroken one ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from process_tree import descendants
from smoke.processes import alignment, killed_when, lines
from smoke.small_recipe import cold_start, write_recipe

CONFIGS = ("cpu-ddp", "cpu-2", "cpu-zero3", "cpu-fsdp2")
STAGE = "01-cold_start"


def recipe(folder: Path, config: str) -> Path:
    """Twelve steps, a checkpoint every three."""
    trainer = {"max_steps": 12, "per_device_train_batch_size": 1, "learning_rate": 1.0e-3}
    hardware = {"accelerate": config, "processes": 2}
    return write_recipe(folder / f"{config}.yaml", cold_start(trainer=trainer), hardware=hardware, evaluations={})


def assert_same_end(whole: Path, killed: Path) -> None:
    one, other = (load_file(run / STAGE / "output/model.safetensors") for run in (whole, killed))
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < 1e-5
    assert lines(killed / STAGE / "metrics.jsonl") == 12


def lose_a_rank(run: Path, process_id: int) -> None:
    """Kill one of the two ranks, once the stage has taken five steps."""
    while lines(run / STAGE / "metrics.jsonl") < 5:
        time.sleep(0.02)
    ranks = [
        one for one in descendants(process_id) if b"alignment.run.stage" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    os.kill(max(ranks), signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize("config", CONFIGS)
def test_two_ranks_that_are_killed_end_where_unbroken_ones_end(config: str, tmp_path: Path) -> None:
    path, (whole, killed, lost) = recipe(tmp_path, config), (tmp_path / name for name in ("whole", "killed", "lost"))
    done = alignment("run", path, "--run", whole)
    assert done.returncode == 0, done.stdout + done.stderr
    killed_when(lambda: lines(killed / STAGE / "metrics.jsonl") >= 5, "run", path, "--run", killed)
    again = alignment("run", path, "--run", killed)
    assert again.returncode == 0 and "resuming cold_start" in again.stdout, again.stdout + again.stderr
    assert_same_end(whole, killed)

    command = [sys.executable, "-m", "alignment.cli", "run", path, "--run", lost]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    threading.Thread(target=lose_a_rank, args=(lost, process.pid), daemon=True).start()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1 and "cold_start (sft): failed" in said, said
    assert alignment("run", path, "--run", lost).returncode == 0
    assert_same_end(whole, lost)
