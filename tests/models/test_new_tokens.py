"""Tokens that a recipe adds are trained in the embeddings and in a head of its own, or the recipe is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from families import build, family, tokenizer_of
from peft import get_peft_model
from transformers import AutoModelForCausalLM

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError
from alignment.inference.weights.merged import merged_weights
from alignment.recipe.blocks.lora import Lora
from alignment.run import base_model
from alignment.training.adapter_config import adapter_config

TAGS = ["<think>", "</think>"]


def recipe_of(folder: Path, **stage: Any) -> Path:
    row = {"messages": [{"role": "user", "content": "1 + 2?"}, {"role": "assistant", "content": "3"}]}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    model = build(family("Llama 3"), folder / "model")
    first = {"name": "tune", "kind": "sft", "data": [{"source": "./rows.jsonl"}], "max_length": 256, **stage}
    recipe = {"name": "new", "model": str(model), "add_tokens": TAGS, "chat_template": "llama3", "stages": [first]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


def test_an_adapter_that_leaves_new_tokens_untrained_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"trains no row of </think>.*write `train_tokens: \['</think>'\]`"):
        checked(recipe_of(tmp_path, lora={"rank": 2, "train_tokens": ["<think>"]}), [])
    checked(recipe_of(tmp_path, lora={"rank": 2, "train_tokens": TAGS}), [])
    checked(recipe_of(tmp_path), [])


def test_the_rows_of_a_new_token_are_trained_in_the_embeddings_and_in_a_head_of_its_own(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(build(family("Llama 3"), tmp_path))
    tokenizer = tokenizer_of(family("Llama 3"))
    number, _ = base_model.add_tokens(model, tokenizer, TAGS)
    held = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    adapted = get_peft_model(model, adapter_config(Lora(rank=2, train_tokens=TAGS), tokenizer, model))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "trainable_tokens" in name:
                assert parameter.requires_grad
                parameter.add_(1.0)
    merged = dict(merged_weights(adapted))
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        moved_V = (merged[name] - held[name]).abs().mean(dim=1)
        assert moved_V[number] > 0.1 and moved_V[:number].max() == 0, name
