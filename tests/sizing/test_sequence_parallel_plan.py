"""What `check` says of `sequence_parallel`, and what an sft stage's plan makes of it, before anything is started."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.held_out import HeldOut
from alignment.sizing.advice import advice_for
from alignment.sizing.cluster import cluster_of
from alignment.sizing.duration import duration_of
from alignment.sizing.memory import Training, memory_of, training_of
from alignment.sizing.shape import Shape, shape_of
from alignment.training.kinds.sft import SftStage
from recipes.what_check_says import what_check_says

DATA = [{"source": "chain-sum", "split": "cold_start", "count": 16, "mode": "thinking"}]
ONE_PACK = {"max_steps": 2, "per_device_train_batch_size": 1}
LONG = 32_768


def said(folder: Path, processes: int, launcher: str, trainer: dict[str, Any], **fields: Any) -> str:
    stage = {"name": "cold_start", "kind": "sft", "data": DATA, "max_length": 256, "trainer": trainer, **fields}
    recipe = {"name": "own", "model": "embedded", "stages": [stage]}
    hardware = {"accelerate": launcher, "processes": processes}
    return what_check_says(folder / "recipe.yaml", {**recipe, "hardware": hardware})


def test_packs_are_shared_by_whole_groups_of_processes_under_zero_3(tmp_path: Path) -> None:
    assert said(tmp_path, 2, "cpu-zero3", ONE_PACK, sequence_parallel=2) == ""
    assert said(tmp_path, 4, "cpu-zero3", ONE_PACK, sequence_parallel=2) == ""


@pytest.mark.parametrize(("processes", "launcher", "trainer", "sharing", "words"), [
    (2, "cpu-2", ONE_PACK, 2, ["cpu-2.yaml has ZeRO-2", "write `hardware: {accelerate: cpu-zero3}`"]),
    (2, "fsdp2", ONE_PACK, 2, ["fsdp2.yaml has FSDP2", "write `hardware: {accelerate: zero3}`"]),
    (4, "cpu-zero3", ONE_PACK, 3, ["no whole groups of 3", "write a divisor of 4"]),
    (2, "cpu-zero3", {"max_steps": 2}, 2, ["per_device_train_batch_size is 8; write 1", "gradient_accumulation_steps"]),
    (2, "cpu-zero3", {**ONE_PACK, "loss_type": "dft"}, 2, ["cannot be trained with loss_type: dft"]),
    (2, "cpu-zero3", {**ONE_PACK, "average_tokens_across_devices": False}, 2, ["average_tokens_across_devices: false"]),
    (16, "cpu-zero3", ONE_PACK, 16, ["16 processes cannot divide", "attention heads"]),
])  # fmt: skip
def test_what_cannot_be_shared_is_refused_with_what_to_write(
    processes: int, launcher: str, trainer: dict[str, Any], sharing: int, words: list[str], tmp_path: Path
) -> None:
    found = said(tmp_path, processes, launcher, trainer, sequence_parallel=sharing)
    assert "stages.cold_start.sequence_parallel" in found
    assert all(word in found for word in words), found


def planned(sharing: int, **hardware: Any) -> tuple[Shape, Training]:
    trainer = {"per_device_train_batch_size": 1, "max_steps": 100, "gradient_checkpointing": True}
    fields = {"name": "cold_start", "kind": "sft", "data": DATA, "max_length": LONG, "trainer": trainer}
    stage = SftStage.model_validate({**fields, "sequence_parallel": sharing})
    shape, training = shape_of("Qwen/Qwen3-32B"), training_of(stage, Hardware(**hardware), on_gpu=True)
    assert shape is not None and training is not None
    return shape, training


def test_a_plan_counts_a_held_out_pack_whole() -> None:
    shape, alone = planned(16, accelerate="zero3", processes=16)
    assert isinstance(alone.stage, SftStage)
    measured = replace(alone, stage=alone.stage.model_copy(update={"held_out": HeldOut()}))
    device = cluster_of("16xH100").device.memory_gib
    assert memory_of(shape, measured, device).activations > memory_of(shape, alone, device).activations


def test_a_plan_counts_a_part_of_each_pack_on_a_device_and_advises_where_a_whole_one_does_not_fit() -> None:
    device = cluster_of("16xH100").device
    shape, alone = planned(1, accelerate="zero3", processes=16)
    _, shared = planned(8, accelerate="zero3", processes=16)
    whole, part = (memory_of(shape, one, device.memory_gib) for one in (alone, shared))
    assert part.activations < whole.activations / 6
    advice = advice_for(shape, alone, device.memory_gib)
    assert advice is not None and advice.write == "`sequence_parallel: 8`"
    longer, shorter = (duration_of(shape, one, device, rows=None) for one in (alone, shared))
    assert longer is not None and shorter is not None
    assert longer.training == pytest.approx(8 * shorter.training), "of sixteen packs a step, and of two"
