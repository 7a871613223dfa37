"""How many positions a model has, from its config; of what cannot be read, nothing is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from broken_recipes import GOOD

from alignment.checks.model.folder import ModelFolder
from alignment.checks.recipe import checked
from alignment.core.resources import resource

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"max_position_embeddings": 8192}, 8192),
        ({"max_position_embeddings": 8192, "rope_parameters": {"rope_type": "default"}}, 8192),
        ({"max_position_embeddings": 40960, "rope_scaling": YARN}, 131072),
        ({"max_position_embeddings": 131072, "rope_scaling": YARN}, 131072),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 2}}, 8192),
        ({"text_config": {"max_position_embeddings": 2048}}, 2048),
        ({"n_positions": 1024}, None),
        ({"max_position_embeddings": None}, None),
        ([], None),
    ],
)
def test_positions_are_read_from_the_config(tmp_path: Path, config: Any, found: int | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert ModelFolder(tmp_path).positions == found


def test_nothing_is_said_of_what_is_not_here_or_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    assert ModelFolder(tmp_path).positions is None
    assert ModelFolder(tmp_path / "gone").positions is None
    assert ModelFolder(resource("data/base")).positions == 1024


def test_a_hub_models_lengths_are_its_own_affair(tmp_path: Path) -> None:
    text = GOOD.replace("embedded", "Qwen/Qwen3-8B-Base").replace("max_length: 512", "max_length: 99999")
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    assert checked(tmp_path / "recipe.yaml", [])
