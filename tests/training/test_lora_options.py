"""Every way to train an adapter leaves the policy that was trained: whole, as an adapter, and in PEFT's own hands."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from alignment.core.errors import ArtifactError
from alignment.core.resources import resource
from alignment.inference.adapters import load_whole
from alignment.inference.engine import GenerationRequest, SamplingSettings
from alignment.inference.start import Serving, serve
from alignment.recipe.blocks.engine import engine_options
from alignment.records.policies import named_policies
from training.lora_stage import plan_of, trained

BASE = str(resource("data/base"))
WAYS: dict[str, dict[str, Any]] = {
    "dora": {"variant": "dora"},
    "attention": {
        "variant": "rslora",
        "targets": "attention",
        "initialisation": "gaussian",
        "train_tokens": ["<think>"],
    },
    "mlp": {"targets": "mlp", "modules_to_save": ["embed_tokens"]},  # tied to the head
    "head": {"targets": "attention", "modules_to_save": ["lm_head"]},
}


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.randint(400, (1, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model.eval()(input_ids=ids).logits


def base() -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)


@pytest.mark.parametrize("way", WAYS)
def test_a_stage_leaves_the_policy_it_trained_and_an_adapter_that_peft_loads(way: str, tmp_path: Path) -> None:
    output = trained(plan_of(tmp_path, {"lora": {"rank": 4, **WAYS[way]}}), "one")
    whole = logits(AutoModelForCausalLM.from_pretrained(output, dtype=torch.float32))
    assert torch.allclose(logits(PeftModel.from_pretrained(base(), str(output / "adapter"))), whole, atol=2e-4)
    assert (whole - logits(base())).abs().max() > 0.05, "it was trained"
    names = [name for name in load_file(output / "adapter" / "adapter_model.safetensors") if "lora_A" in name]
    touched = {"attention": {"self_attn"}, "mlp": {"mlp"}, "head": {"self_attn"}}.get(way, {"self_attn", "mlp"})
    assert {part for name in names for part in name.split(".") if part in ("self_attn", "mlp")} == touched


WHOLE: dict[str, Any] = {"lora": {"rank": 4}}
ALONE: dict[str, Any] = {"lora": {"rank": 4, "output": "adapter"}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs of one stage, whole/run that leaves a model, and alone/run that leaves its adapter alone."""
    folder = tmp_path_factory.mktemp("made")
    for name, fields in {"whole": WHOLE, "alone": ALONE}.items():
        trained(plan_of(folder / name, fields), "one")
    return folder


def test_an_adapter_alone_holds_no_weights_of_its_base_and_is_the_trained_policy(made: Path) -> None:
    whole, alone = (next((made / name / "run").glob("*-one")) / "output" for name in ("whole", "alone"))
    assert not list(alone.glob("model*.safetensors"))
    assert (alone / "adapter_model.safetensors").stat().st_size < (whole / "model.safetensors").stat().st_size / 4
    expected = logits(AutoModelForCausalLM.from_pretrained(whole, dtype=torch.float32))
    assert torch.allclose(
        logits(AutoPeftModelForCausalLM.from_pretrained(alone, dtype=torch.float32)), expected, atol=1e-4
    )
    assert torch.allclose(logits(load_whole(str(alone), dtype=torch.float32)), expected, atol=1e-5)
    assert sampled(alone) == sampled(whole)


def sampled(output: Path) -> list[list[int]]:
    """What the engine of a stage, of an evaluation or of a chat samples from a stage's output."""
    (policy,) = named_policies(output)
    options = engine_options("transformers", dtype="float32")
    sampler = serve(str(policy.folder), Serving(options, 64, 32, "\n</think>\n\n"))
    asked = [
        GenerationRequest(sampler.tokenizer("12 + 7 - 4 =")["input_ids"], "thinking", max_tokens=24, seed=seed)
        for seed in range(3)
    ]
    return [made.token_ids for made in sampler.sample(asked, SamplingSettings())]


@pytest.mark.parametrize(
    "after", [{"lora": {"rank": 2, "output": "adapter"}}, {"lora": {"rank": 4, "adapter": "continue"}}, {}]
)
def test_a_stage_after_an_adapter_alone_starts_from_what_was_trained(
    made: Path, after: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    whole = {**after, "lora": {**after["lora"], "output": "model"}} if after else after
    plans = (plan_of(tmp_path / "whole", WHOLE, whole), plan_of(tmp_path / "alone", ALONE, after))
    one, two = (logits(load_whole(str(trained(plan, "two")), dtype=torch.float32)) for plan in plans)
    assert torch.allclose(one, two, atol=1e-3)


def test_an_adapter_whose_base_was_trained_again_is_refused(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, {"lora": {"rank": 4}}, {"lora": {"rank": 4, "output": "adapter"}})
    first, second = trained(plan, "one"), trained(plan, "two")
    moved = tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    second = moved / second.relative_to(tmp_path / "run")
    load_whole(str(second))  # a run that was renamed finds the base inside it
    trained(plan_of(tmp_path, {"lora": {"rank": 8}}), "one")  # at the old place lies another model now
    load_whole(str(second))
    (moved / first.relative_to(tmp_path / "run") / "generation_config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="was trained on another model"):
        load_whole(str(second))
