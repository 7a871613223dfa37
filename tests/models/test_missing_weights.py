"""A model folder in which weights are missing is refused: transformers makes them up at random and goes on."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from alignment.core.errors import ArtifactError
from alignment.core.resources import resource
from alignment.inference.adapters import load_whole


def test_a_weight_that_is_in_none_of_the_files_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(resource("data/base"), folder)
    weights = load_file(folder / "model.safetensors")
    gone = next(name for name in weights if "up_proj" in name)
    assert load_whole(str(folder)).config.model_type == "qwen3"
    save_file(
        {name: weight for name, weight in weights.items() if name != gone},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(ArtifactError, match=f"1 weights .* would be random, such as {gone}"):
        load_whole(str(folder))
