"""A stage that is killed at a sealed checkpoint ends where an unbroken run ends, bit for bit, whatever kind it is."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.kill_cells import CELLS

MATRIX = Path(__file__).with_name("kill_matrix.py")
TESTS = MATRIX.parents[1]
# One cell for each way in which a resumed stage has gone wrong: the reference's adapter in the checkpoint, the order of
# the second epoch, and a step too many after the last checkpoint.
SHORT = (
    "dpo-continue-1@2",
    "grpo-continue-3-beta0.1@4,8",
    "sft-new-3@5",
    "sample@2",
    "prm-full-3@4,6",
    "prm-new-1@2",
    "labels@1",
    "distill-full-3@4",
)


def measured(folder: Path, cells: list[str]) -> dict[str, Any]:
    """What kill_matrix.py says of these cells."""
    alone = {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    paths = {"PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(MATRIX), str(folder), *cells]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1400, env={**os.environ, **alone, **paths})
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_same_end(cell: dict[str, Any]) -> None:
    whole = cell["whole"]
    assert cell["killed"]
    for step, resumed in cell["killed"].items():
        for what, value in whole.items():
            assert resumed[what] == value, f"{what} after a kill at {step}"


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return measured(tmp_path_factory.mktemp("short"), list(SHORT))


@pytest.mark.parametrize("cell", [one.partition("@")[0] for one in SHORT])
def test_a_killed_stage_leaves_what_an_unbroken_one_leaves(short: dict[str, Any], cell: str) -> None:
    assert_same_end(short[cell])


def test_the_stages_of_the_matrix_learn_something(short: dict[str, Any]) -> None:
    """Else every policy would be the one that it started from, and all would be equal."""
    assert all(line["gradient_norm"] > 0 for line in short["grpo-continue-3-beta0.1"]["whole"]["metrics"][:3])
    losses = [line["loss"] for line in short["dpo-continue-1"]["whole"]["metrics"]]
    assert losses[0] == pytest.approx(0.6931, abs=1e-3) and losses[-1] < losses[0]


@pytest.mark.long
@pytest.mark.parametrize(
    "kind",
    ["sft", "dpo", "grpo-full", "grpo-new", "grpo-continue", "grpo-r", "grpo-in", "sample", "prm", "labels", "distill"],
)
def test_a_kill_at_any_sealed_checkpoint_changes_nothing(tmp_path: Path, kind: str) -> None:
    found = measured(tmp_path, [name for name in CELLS if name.startswith(kind)])
    for cell in found.values():
        assert_same_end(cell)
