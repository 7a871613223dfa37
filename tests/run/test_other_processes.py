"""A stage that was begun by other processes is not resumed: its checkpoints have a part for each."""

from pathlib import Path

import pytest

from alignment.core.errors import StaleInputsError
from alignment.core.resources import resource
from alignment.run.plan import RunPlan

RECIPE = resource("recipes/tiny-thinking.yaml")


def plan(run: Path, accelerate: str, processes: int) -> RunPlan:
    hardware = [f"hardware.accelerate={accelerate}", f"hardware.processes={processes}"]
    return RunPlan.load(RECIPE, hardware, run)


def begun(run: Path, *, checkpoint: bool) -> None:
    """A stage that two processes began, with a checkpoint or killed before it."""
    before = plan(run, "cpu-zero3", 2)
    before.prepare()
    before.begin("cold_start")
    if checkpoint:
        (before.folder("cold_start").checkpoints / "checkpoint-4").mkdir(parents=True)


@pytest.mark.parametrize(("accelerate", "processes"), [("cpu-zero3", 4), ("cpu-fsdp2", 2), ("cpu", 1)])
def test_other_processes_are_refused_before_anything_starts(accelerate: str, processes: int, tmp_path: Path) -> None:
    begun(tmp_path, checkpoint=True)
    assert plan(tmp_path, "cpu-zero3", 2).state("cold_start") == "unfinished"
    with pytest.raises(StaleInputsError, match=r"begun by 2 process\(es\) with ZeRO-3.*--redo cold_start"):
        plan(tmp_path, accelerate, processes).state("cold_start")


def test_without_a_checkpoint_other_processes_begin_anew(tmp_path: Path) -> None:
    begun(tmp_path, checkpoint=False)
    other = plan(tmp_path, "cpu-ddp", 2)
    assert other.state("cold_start") == "unfinished"
    other.begin("cold_start")
    (other.folder("cold_start").checkpoints / "checkpoint-4").mkdir(parents=True)
    assert other.state("cold_start") == "unfinished"
    with pytest.raises(StaleInputsError, match="with DDP"):
        plan(tmp_path, "cpu-zero3", 2).state("cold_start")
