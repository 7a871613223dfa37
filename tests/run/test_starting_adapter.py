"""A PEFT adapter as a recipe's model: the run begins on it and its base merged, or goes on training it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.core.resources import resource
from alignment.run import stage as entry
from alignment.run.base_model import _prepare
from alignment.run.plan import RunPlan

PROBE = torch.arange(20, 52)[None]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained adapter on the embedded model, as PEFT saves one."""
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(base, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    adapted.peft_config["default"].base_model_name_or_path = str(resource("data/base"))
    adapted.save_pretrained(folder)
    return folder


def recipe(folder: Path, model: Path, lora: dict[str, Any] | None = None, **changes: Any) -> Path:
    stage = {
        "name": "first", "kind": "sft", "data": [{"source": "chain-sum", "split": "cold_start", "count": 8}],
        "max_length": 256, "packing": False, "lora": lora,
        "trainer": {"max_steps": 1, "per_device_train_batch_size": 2, "learning_rate": 1.0e-12},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(
        yaml.safe_dump({"name": "adapted", "model": str(model), "stages": [stage], **changes}), encoding="utf-8"
    )
    return path


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=PROBE).logits
    return found


def of_folder(folder: Path) -> torch.Tensor:
    return logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32))


def test_a_run_begins_on_the_adapter_and_its_base_merged_and_can_continue_it(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)
    path = recipe(tmp_path, adapter, {"adapter": "continue"})
    checked(path, [])
    plan = RunPlan.load(path, [], tmp_path / "run")
    assert plan.base.needs_preparing()
    plan.run.path.mkdir()
    _prepare(plan)
    base = AutoModelForCausalLM.from_pretrained(resource("data/base"), dtype=torch.float32)
    expected = logits(PeftModel.from_pretrained(base, adapter))
    assert (of_folder(plan.run.base) - expected).abs().max() < 0.1, (
        "the embedded base is in bfloat16, and so is the sum"
    )
    entry._run(plan, "first", 0.0)
    left = plan.folder("first").output
    assert (of_folder(left) - expected).abs().max() < 1e-3, "the adapter was continued on its own base, in float32"
    before = load_file(adapter / "adapter_model.safetensors")
    after = load_file(left / "adapter" / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)


def test_what_an_adapter_cannot_be_is_said_before_anything_starts(adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="lora.rank: found 16, and the adapter that it continues has 4; leave it out"):
        checked(recipe(tmp_path, adapter, {"adapter": "continue", "rank": 16}), [])
    with pytest.raises(RecipeError, match="whose base has no added tokens; write `adapter: new`"):
        checked(recipe(tmp_path, adapter, {"adapter": "continue"}, add_tokens=["<more>"]), [])
    lost = tmp_path / "lost"
    lost.mkdir()
    config = (adapter / "adapter_config.json").read_text(encoding="utf-8")
    (lost / "adapter_config.json").write_text(config.replace(str(resource("data/base")), "/gone"), encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        checked(recipe(tmp_path, lost), [])
    assert "is an adapter without adapter_model.safetensors" in str(refused.value)
    assert "is an adapter on /gone, which is not there" in str(refused.value)


@pytest.mark.parametrize(
    ("lora", "config", "words"),
    [
        ({"adapter": "continue", "targets": ["q_proj"]}, {}, "lora.targets: found ['q_proj'], and the adapter that it"),
        ({"adapter": "continue", "variant": "lora"}, {"use_dora": True}, "found lora, and the adapter that it continues has dora"),
        ({"adapter": "continue", "dropout": 0.1}, {}, "lora.dropout: found 0.1"),
        (None, {"peft_type": "PROMPT_TUNING"}, "is an adapter of another kind (peft_type PROMPT_TUNING"),
        (None, {"task_type": "SEQ_CLS"}, "only LoRA adapters of causal language models"),
    ],
)  # fmt: skip
def test_an_adapter_that_is_another_than_the_recipe_says_is_refused(
    adapter: Path, tmp_path: Path, lora: dict[str, Any] | None, config: dict[str, Any], words: str
) -> None:
    shutil.copytree(adapter, tmp_path / "adapter")
    file = tmp_path / "adapter" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **config}), encoding="utf-8")
    with pytest.raises(RecipeError, match=re.escape(words)):
        checked(recipe(tmp_path, tmp_path / "adapter", lora), [])


def test_targets_of_a_new_adapter_are_those_of_the_base_under_the_one_that_it_starts_from(
    adapter: Path, tmp_path: Path
) -> None:
    checked(recipe(tmp_path, adapter, {"targets": ["q_proj"]}), [])
    with pytest.raises(RecipeError, match="no module of the model is called `q_prj`; did you mean `q_proj`?"):
        checked(recipe(tmp_path, adapter, {"targets": ["q_prj"]}), [])
