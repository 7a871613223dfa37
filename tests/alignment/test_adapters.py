"""What an adapter has learned really reaches the rollouts and the saved policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from alignment.core.resources import resource
from alignment.inference.engine import EngineSettings
from alignment.inference.start import start_engine
from alignment.inference.weights.merged import merged_weights
from alignment.inference.weights.sync_check import check_weight_sync
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.lora import Lora
from alignment.run.base_model import add_tokens
from alignment.training.adapter_config import adapter_config

BASE = str(resource("data/base"))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(BASE)


def adapted(tokenizer: PreTrainedTokenizerBase, **settings: object) -> torch.nn.Module:
    """The embedded model with an adapter whose weights are no longer zero."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    model = get_peft_model(base, adapter_config(Lora(rank=4, alpha=8, **settings), tokenizer))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
            elif "trainable_tokens_delta" in name:
                parameter.add_(0.5)
    return model.eval()


def iterate(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    return merged_weights(model)


@pytest.mark.parametrize("settings", [{}, {"train_tokens": ["<think>", "</think>"]}])
def test_merged_weights_compute_what_the_adapted_model_computes(
    tokenizer: PreTrainedTokenizerBase, settings: dict[str, object]
) -> None:
    model = adapted(tokenizer, **settings)
    ids = torch.tensor([tokenizer("<think>\n12 + 7 = 19\n</think>\n")["input_ids"]])
    expected = model(input_ids=ids).logits
    plain = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32).eval()
    before = plain(input_ids=ids).logits
    missing, unexpected = plain.load_state_dict(dict(iterate(model)), strict=False)
    plain.tie_weights()
    assert not unexpected and set(missing) <= {"lm_head.weight"}
    assert torch.allclose(plain(input_ids=ids).logits, expected, atol=1e-4)
    assert not torch.allclose(before, expected, atol=1e-2)


def test_the_engine_samples_from_the_adapter_and_not_from_the_model_under_it(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    model = adapted(tokenizer)
    prompt = tokenizer("<|endoftext|>12 + 7 - 4 =\n15")["input_ids"]
    engine = start_engine(
        EngineSettings(
            BASE, 128, (tokenizer.eos_token_id,), tokenizer.pad_token_id, engine_options("auto", dtype="float32")
        )
    )
    under = engine.logprobs([prompt])[0]
    check_weight_sync(engine, lambda: iterate(model), prompt, same_start=False)
    logits = model(input_ids=torch.tensor([prompt])).logits[0, :-1].log_softmax(-1)
    expected = logits.gather(-1, torch.tensor(prompt[1:])[:, None])[:, 0]
    found = torch.tensor(engine.logprobs([prompt])[0])
    assert torch.allclose(found, expected, atol=1e-3)
    assert not torch.allclose(torch.tensor(under), expected, atol=1e-2)
    engine.close()


def test_new_tokens_start_from_what_their_text_already_meant(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    own = AutoTokenizer.from_pretrained(BASE)
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    pieces = own("<plan>", add_special_tokens=False)["input_ids"]
    assert len(pieces) > 1
    (new,) = add_tokens(model, own, ["<plan>", "<think>"])
    weight = model.get_input_embeddings().weight
    assert torch.allclose(weight[new], weight[pieces].mean(0))
    own.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("<plan>")["input_ids"] == [new]
    assert own.decode([new], skip_special_tokens=True) == "<plan>"
