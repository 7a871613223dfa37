"""Engines take an adapter alone, so that no update is rounded away, and sample from adapters as they lie on disk."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.core.resources import resource
from alignment.inference.adapters import vllm_fault
from alignment.inference.engine import Engine, EngineSettings
from alignment.inference.start import start_engine
from alignment.inference.vllm.kind import vllm_fault as vllm_is_missing
from alignment.inference.weights.merged import Rounding, adapter_weights, merged_weights
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.lora import Lora
from alignment.training.adapter_config import adapter_config

BASE = str(resource("data/base"))
IDS = torch.randint(400, (24,), generator=torch.Generator().manual_seed(1)).tolist()
needs_vllm = pytest.mark.skipif(vllm_is_missing() is not None, reason="vLLM cannot run here")


def adapted(std: float = 0.05, dtype: torch.dtype = torch.float32, **lora: Any) -> Any:
    """The embedded model with an adapter that has learned something."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=dtype)
    peft = get_peft_model(model, adapter_config(Lora(rank=4, **lora), AutoTokenizer.from_pretrained(BASE), model))
    _learn(peft, std)
    return peft.eval()


def _learn(model: torch.nn.Module, std: float) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=std)


def trainer_says(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        logprobs_TV = model(input_ids=torch.tensor([IDS])).logits[0, :-1].float().log_softmax(-1)
    return logprobs_TV.gather(-1, torch.tensor(IDS[1:])[:, None])[:, 0]


def engine_says(engine: Engine) -> torch.Tensor:
    return torch.tensor(engine.logprobs([IDS])[0])


def started(policy: str, kind: str, dtype: str = "float32", **more: Any) -> Engine:
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    stops, pad = (tokenizer.eos_token_id,), tokenizer.pad_token_id
    return start_engine(EngineSettings(policy, 96, stops, pad, engine_options(kind, dtype=dtype), **more))


def test_a_merge_in_bfloat16_drops_small_updates_and_one_for_an_engine_in_float32_drops_none() -> None:
    model = adapted(std=1e-4, dtype=torch.bfloat16)  # as after a few steps at a small rate
    rounding = Rounding()
    merged = dict(merged_weights(model, rounding=rounding))
    assert rounding.kept is not None and rounding.kept < 0.5
    exact, name = dict(merged_weights(model, torch.float32)), "model.layers.1.mlp.down_proj.weight"
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.bfloat16).get_parameter(name)
    assert float((merged[name] != base).float().mean()) < 0.5
    assert float((exact[name] != base.float()).float().mean()) > 0.9


@pytest.mark.parametrize(
    "lora", [{"variant": "rslora"}, {"variant": "dora"}, {"modules_to_save": ["embed_tokens"]}], ids=str
)
def test_the_transformers_engine_takes_any_adapter_alone(lora: dict[str, Any]) -> None:
    assert all(torch.allclose(*said, atol=1e-4) for said in each_version(adapted(**lora), "transformers"))


@needs_vllm
def test_vllm_takes_each_version_of_an_adapter_alone() -> None:
    assert all(torch.allclose(*said, atol=1e-3) for said in each_version(adapted(), "vllm"))


def each_version(model: Any, engine_name: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What an engine that gets the adapter alone says, and what the trainer says, before and after a step."""
    engine = started(BASE, engine_name, weights_change=True, adapter=model.peft_config["default"])
    check_weight_sync(engine, lambda: adapter_weights(model), IDS, same_start=False)
    said = [(engine_says(engine), trainer_says(model))]
    _learn(model, 0.2)
    engine.load_weights(adapter_weights(model))
    said.append((engine_says(engine), trainer_says(model)))
    engine.close()
    return said


@needs_vllm
@pytest.mark.parametrize("lora", [{"variant": "rslora"}, pytest.param({"variant": "dora"}, marks=pytest.mark.long)])
def test_vllm_samples_from_an_adapter_folder_and_merges_what_it_cannot_take(
    lora: dict[str, Any], tmp_path: Path
) -> None:
    model = adapted(**lora)
    model.save_pretrained(tmp_path)
    problem = vllm_fault(str(tmp_path))
    assert (problem is None) == (lora["variant"] == "rslora")
    AutoTokenizer.from_pretrained(BASE).save_pretrained(tmp_path)
    engine = started(str(tmp_path), "vllm")
    assert torch.allclose(engine_says(engine), trainer_says(model), atol=1e-3)
    engine.close()
