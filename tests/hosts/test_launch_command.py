"""`alignment launch` refuses what cannot be divided among machines, and writes for Slurm what its nodes run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import RecipeError, StageFailed
from alignment.core.resources import resource
from alignment.run.launcher import launcher_config
from alignment.run.machines.slurm import script_of
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.run.processes import training_command
from alignment.run.runner import Runner
from smoke.small_recipe import cold_start, write_recipe


def recipe(folder: Path, accelerate: str = "cpu-zero3", processes: int = 4) -> Path:
    hardware = {"accelerate": accelerate, "processes": processes}
    trainer = {"max_steps": 2, "per_device_train_batch_size": 1}
    return write_recipe(folder / "r.yaml", cold_start(trainer=trainer), hardware=hardware, evaluations={})


def said(folder: Path, path: Path, *options: object) -> str:
    arguments = ["launch", str(path), "--run", str(folder / "run"), *map(str, options)]
    return str(CliRunner().invoke(app, arguments).exception)


def test_machines_that_cannot_share_the_processes_are_refused(tmp_path: Path) -> None:
    assert "4 over all machines cannot be divided among 3" in said(tmp_path, recipe(tmp_path), "--hosts", "a,b,c")
    four = recipe(tmp_path, "multi-node", 32)
    assert "is for 4 machines (num_machines), and this asks for 2" in said(tmp_path, four, "--hosts", "a,b")
    assert "write either --hosts" in said(tmp_path, recipe(tmp_path))
    assert not (tmp_path / "run").exists(), "nothing was started"


def test_a_judge_that_the_run_would_serve_is_refused_before_anything_starts(tmp_path: Path) -> None:
    judged = resource("recipes/qwen3-8b-general-rl.yaml")
    found = said(tmp_path, judged, "--hosts", "a,b", "--set", "hardware.processes=16")
    assert "would be served on one machine" in found and "write its `base_url` under the reward" in found


def test_a_stage_is_run_again_on_several_machines_as_on_one(tmp_path: Path) -> None:
    assert "there is no stage" in said(tmp_path, recipe(tmp_path), "--hosts", "a,b", "--redo", "no_such_stage")


def test_a_recipe_for_several_machines_is_not_run_on_one(tmp_path: Path) -> None:
    plan = RunPlan.load(recipe(tmp_path, "multi-node", 32), [], tmp_path / "run")
    with pytest.raises(RecipeError, match="alignment launch RECIPE --hosts"):
        Runner(plan, Console(quiet=True)).go()


def test_slurm_runs_the_launch_on_the_first_node_and_joins_on_the_others(tmp_path: Path) -> None:
    plan = RunPlan.load(recipe(tmp_path), [], tmp_path / "run")
    script = tmp_path / "slurm.sh"
    script.write_text(script_of(plan, 2).replace(sys.executable, "echo"), encoding="utf-8")
    programs = {
        "scontrol": "printf 'n1\\nn2\\n'",
        "srun": 'shift; for node in 0 1; do SLURM_NODEID=$node "$@"; done',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "n[1-2]"}
    done = subprocess.run(["bash", script], capture_output=True, text=True, env=env, check=True)
    launch, join = done.stdout.splitlines()
    assert launch == f"-m alignment.cli launch {tmp_path}/run/recipe.yaml --run {tmp_path}/run --hosts n1,n2 --ssh "
    assert join == f"-m alignment.cli join {tmp_path}/run --machine 1"
    assert "#SBATCH --nodes=2" in script.read_text(encoding="utf-8")


def test_ranks_of_several_machines_talk_through_the_interface_that_faces_the_first(tmp_path: Path) -> None:
    from alignment.recipe.blocks.hardware import Hardware
    from alignment.run.launcher import Placement

    place, hardware = Placement(1, 2, "127.0.0.1", 29500), Hardware(accelerate="cpu-zero3", processes=4)
    assert environment(hardware, offline=True, place=place)["GLOO_SOCKET_IFNAME"] == "lo"
    named = environment(hardware.model_copy(update={"interface": "ib0"}), offline=True, place=place)
    assert named["NCCL_SOCKET_IFNAME"] == named["GLOO_SOCKET_IFNAME"] == "ib0"
    with pytest.raises(StageFailed, match="`localhost` is 127.*in place of its name, or `interface`"):
        environment(hardware, offline=True, place=Placement(0, 2, "localhost", 29500))
    command = training_command(hardware, ["r.yaml"], place)
    assert command[command.index("--machine_rank") + 1] == "1" and "standard" in command
    assert launcher_config(hardware).num_machines == 1, "the same config serves one machine and several"
