"""What `check` says of a `lora` block, before anything is loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from alignment.checks.recipe import checked
from alignment.core.resources import resource
from alignment.recipe.kinds import kinds
from alignment.recipe.learning_rate import default_learning_rate
from alignment.recipe.schema import read_stage
from alignment.run.identity import stage_identity
from recipes.what_check_says import what_check_says

DATA = [{"source": "chain-sum", "split": "reasoning", "count": 16, "mode": "thinking"}]
STAGE = {"kind": "sft", "data": DATA, "max_length": 256, "trainer": {"max_steps": 2}}


def said(folder: Path, *loras: dict[str, Any], **top: Any) -> str:
    """What `check` says of a recipe with a stage for each block; empty where it says nothing."""
    stages = [
        {**STAGE, "name": f"stage_{split}", "data": [{**DATA[0], "split": split}], "lora": lora}
        for split, lora in zip(("cold_start", "reasoning"), loras, strict=False)
    ]
    recipe = {"name": "own", "model": "embedded", "stages": stages, **top}
    return what_check_says(folder / "recipe.yaml", recipe)


@pytest.mark.parametrize("lora", [
    {}, {"variant": "dora"}, {"variant": "rslora", "targets": "attention"}, {"targets": "mlp", "output": "adapter"},
    {"modules_to_save": ["embed_tokens", "lm_head"]}, {"modules_to_save": ["lm_head"], "train_tokens": ["<think>"]},
])  # fmt: skip
def test_what_can_be_trained_passes(lora: dict[str, Any], tmp_path: Path) -> None:
    assert said(tmp_path, lora) == ""


@pytest.mark.parametrize(("lora", "words"), [
    ({"quantise": "nf4"}, ["lora.quantise", "trains on a CPU", "leave `quantise` out", "accelerate: gpu"]),
    ({"quantise": "nf4", "output": "adapter"}, ["another policy on the whole ones", "output: model"]),
    ({"use_dora": True}, ["`use_dora` is PEFT's name; write `variant: dora`"]),
    ({"r": 8, "target_modules": "all-linear"}, ["write `rank`", "write `targets`"]),
    ({"initialisation": "pissa"}, ["lora.initialisation", "changes the frozen weights", "write kaiming or gaussian"]),
    ({"modules_to_save": ["embed_token"]}, ["modules_to_save.0", "did you mean `embed_tokens`?"]),
    ({"modules_to_save": ["embed_tokens"], "train_tokens": ["<think>"]}, ["trains every token already"]),
])  # fmt: skip
def test_what_cannot_be_trained_is_refused_with_what_to_write(
    lora: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    found = said(tmp_path, lora, hardware={"accelerate": "cpu"})
    assert all(word in found for word in words), found


def test_4_bit_weights_need_whole_ones_on_each_process_and_a_whole_model_to_start_from(tmp_path: Path) -> None:
    quantised = {"quantise": "nf4"}
    assert said(tmp_path, quantised, hardware={"accelerate": "gpu"}) == ""
    assert "cannot be gathered" in said(tmp_path, quantised, hardware={"accelerate": "zero3", "processes": 2})
    found = said(tmp_path, {"output": "adapter"}, quantised, hardware={"accelerate": "gpu"})
    assert "starts from an adapter alone" in found


def test_an_adapter_that_is_continued_keeps_its_shape_and_its_base(tmp_path: Path) -> None:
    same = {"rank": 8, "targets": "mlp"}
    assert said(tmp_path, same, {**same, "adapter": "continue"}) == ""
    assert said(tmp_path, same, {"adapter": "continue"}) == ""
    assert "has 8: write that" in said(tmp_path, same, {"rank": 4, "adapter": "continue"})
    found = said(tmp_path, {"quantise": "nf4"}, {"adapter": "continue"}, hardware={"accelerate": "gpu"})
    assert "on other weights it is another policy" in found


def test_dora_and_dropout_on_experts_are_refused(tmp_path: Path) -> None:
    model = tmp_path / "mixture"
    shutil.copytree(resource("data/base"), model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "num_experts": 4}), encoding="utf-8")
    found = said(tmp_path, {"variant": "dora", "dropout": 0.1}, model=str(model))
    assert "experts cannot have DoRA" in found and "cannot have dropout" in found
    assert "experts" not in said(tmp_path, {"variant": "dora", "targets": "attention"}, model=str(model))


def test_a_stage_without_a_rate_trains_adapters_at_ten_times_the_rate_of_all_weights(tmp_path: Path) -> None:
    rates = {kind.name: kind.trainer.learning_rate for kind in kinds() if kind.trainer is not None}
    assert rates == {"sft": 2e-5, "grpo": 1e-6, "dpo": 1e-6, "prm": 5e-5, "reward_model": 1e-4, "distill": 1e-6}
    stage = read_stage({**STAGE, "name": "tune", "lora": {}})
    assert default_learning_rate(stage) == pytest.approx(2e-4)
    assert default_learning_rate(read_stage({**STAGE, "name": "tune"})) is None
    fixed = read_stage({**STAGE, "name": "tune", "lora": {}, "trainer": {"learning_rate": 1.0e-5}})
    assert default_learning_rate(fixed) is None
    said(tmp_path, {})
    recipe = checked(tmp_path / "recipe.yaml", []).recipe
    assert stage_identity(recipe, stage, {})["learning_rate"] == pytest.approx(2e-4)  # a changed rule is another stage
    assert "learning_rate" not in stage_identity(recipe, fixed, {})
