"""What `check` says of a launcher config: how many processes it starts, and how it shards."""

from pathlib import Path

import pytest
import yaml

from recipes.what_check_says import what_check_says

STAGE = {
    "name": "cold_start",
    "kind": "sft",
    "data": [{"source": "chain-sum", "split": "cold_start", "count": 16}],
    "max_length": 256,
    "trainer": {"max_steps": 2},
}


def said(folder: Path, accelerate: str, processes: int) -> str:
    """What `check` says of a recipe on this hardware; empty where it says nothing."""
    hardware = {"accelerate": accelerate, "processes": processes}
    path = folder / "recipe.yaml"
    recipe = {"name": "own", "model": "embedded", "hardware": hardware, "stages": [STAGE]}
    return what_check_says(path, recipe)


@pytest.mark.parametrize("name", ["cpu-ddp", "cpu-fsdp2", "cpu-2", "cpu-zero3", "gpu", "fsdp2"])
def test_what_ships_starts_as_many_processes_as_a_recipe_says(name: str, tmp_path: Path) -> None:
    assert said(tmp_path, name, 2) == ""


def test_a_config_that_would_start_one_of_two_processes_is_refused(tmp_path: Path) -> None:
    found = said(tmp_path, "cpu", 2)
    assert "hardware.processes" in found and "starts one process" in found and "cpu-ddp" in found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "write `fsdp_version: 2`"),
        ({"fsdp_version": 1}, "write `fsdp_version: 2`"),
        ({"fsdp_version": 2}, "write `fsdp_cpu_ram_efficient_loading: false`"),
        ({"version": 2, "cpu_ram_efficient_loading": True}, "write `fsdp_cpu_ram_efficient_loading: false`"),
    ],
)
def test_fsdp_that_cannot_be_saved_or_sampled_from_is_refused(
    settings: dict[str, object], words: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"distributed_type": "FSDP", "fsdp_config": settings}), encoding="utf-8")
    found = said(tmp_path, str(own), 2)
    assert "hardware.accelerate" in found and words in found
