"""A model folder whose files do not fit each other is refused by `check`: parts of it would be dropped, or not be found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alignment.core.resources import resource
from recipes.what_check_says import what_check_says

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def edited(name: str, **changes: Any) -> Callable[[Path], None]:
    def edit(model: Path) -> None:
        file = model / name
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **changes}), encoding="utf-8")

    return edit


def sharded(model: Path) -> None:
    (model / WEIGHTS).rename(model / "model-00001-of-00002.safetensors")
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (model / INDEX).write_text(json.dumps({"weight_map": weights}), encoding="utf-8")


def beyond(model: Path) -> None:
    edited("tokenizer_config.json", pad_token="[PAD]")(model)
    file = model / "tokenizer.json"
    tokenizer = json.loads(file.read_text(encoding="utf-8"))
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 512, "content": "[PAD]"})
    file.write_text(json.dumps(tokenizer), encoding="utf-8")


def said(folder: Path, edit: Callable[[Path], None], **lora: Any) -> str:
    shutil.copytree(resource("data/base"), folder / "mine")
    edit(folder / "mine")
    stage = {"name": "tune", "kind": "sft", "data": "tiny-cold-start", "max_length": 512, "trainer": {"max_steps": 2}}
    recipe = {"name": "own", "model": "./mine", "hardware": {"accelerate": "cpu"}, "stages": [stage | lora]}
    return what_check_says(folder / "recipe.yaml", recipe)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (sharded, "model-00002-of-00002.safetensors is missing, and model.safetensors.index.json names it"),
        (lambda model: (model / INDEX).write_text("{}"), "model.safetensors beside model.safetensors.index.json"),
        (lambda model: (model / WEIGHTS).rename(model / "weights.safetensors"), "has weights.safetensors and neither"),
        (lambda model: (model / "generation_config.json").write_text("{"), "generation_config.json is damaged"),
        (edited("config.json", num_hidden_layers=2), "have 4 layers, and its config.json says num_hidden_layers: 2"),
        (edited("config.json", model_type="clip"), "is a clip model, which the installed transformers does not load"),
        (edited("config.json", model_type="own", auto_map={"AutoModelForCausalLM": "own.Own"}), "set `trust_remote_code` in the recipe if you trust it"),
        (lambda model: (model / "adapter_config.json").write_text("{}"), "beside a model's weights"),
        (beyond, "its pad_token [PAD] has the id 512, and its embeddings have 512 rows"),
    ],
)  # fmt: skip
def test_what_would_be_dropped_or_not_found_is_named(tmp_path: Path, edit: Callable[[Path], None], words: str) -> None:
    assert words in said(tmp_path, edit)


def test_only_the_weights_that_transformers_reads_have_targets(tmp_path: Path) -> None:
    def beside(model: Path) -> None:
        header = json.dumps({"layers.0.attention.wq.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]}})
        (model / "consolidated.safetensors").write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(4))

    assert "no module of the model is called `wq`" in said(tmp_path, beside, lora={"targets": ["q_proj", "wq"]})
