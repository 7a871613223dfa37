"""What a stage leaves is the policy that it trained, and rows that are packed are computed as rows alone are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedModel,
    Qwen3Config,
    Qwen3MoeConfig,
)

from alignment.core.errors import ArtifactError
from alignment.inference.attention import packed
from alignment.inference.weights.merged import merged_weights
from alignment.training.packing_check import mixed_rows
from alignment.training.saved import probe_logits, refuse_another_policy

SHAPE: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                         "head_dim": 16, "intermediate_size": 96, "vocab_size": 96, "max_position_embeddings": 512}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}


def model_of(config: Any, attention: str = "sdpa") -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=torch.float32).eval()


def trained(model: torch.nn.Module) -> Any:
    """What the proof reads of a trainer."""
    return SimpleNamespace(model=model, accelerator=SimpleNamespace(device=torch.device("cpu")))


def with_adapter(model: PreTrainedModel) -> torch.nn.Module:
    """An adapter on all linear layers, as a recipe has it by default, that has learned something."""
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return adapted.eval()


@pytest.mark.parametrize("config", [
    Qwen3MoeConfig(**SHAPE, **EXPERTS, num_experts=4),
    MixtralConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=2),
    LlamaConfig(**SHAPE, tie_word_embeddings=True),
], ids=lambda config: config.model_type)  # fmt: skip
def test_an_adapter_on_all_layers_is_folded_into_a_model_that_plain_transformers_loads(
    config: Any, tmp_path: Path
) -> None:
    adapted = with_adapter(model_of(config))
    weights = {name: weight.detach().clone().contiguous() for name, weight in merged_weights(adapted)}
    assert not [name for name in weights if "base_layer" in name]
    model_of(config).save_pretrained(tmp_path, state_dict=weights)
    logits = probe_logits(trained(adapted))
    refuse_another_policy(tmp_path, logits)
    with pytest.raises(ArtifactError, match="is not the policy that was trained"):
        refuse_another_policy(tmp_path, probe_logits(trained(model_of(config))))


def test_float32_weights_that_are_trained_under_autocast_are_proven_in_float32(tmp_path: Path) -> None:
    AcceleratorState._reset_state(reset_partial_state=True)  # a test before this one may have trained in this process
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    try:
        model = accelerator.prepare_model(model_of(LlamaConfig(**SHAPE)))
        model.save_pretrained(tmp_path)
        assert refuse_another_policy(tmp_path, probe_logits(trained(model))) < 1e-5
        ids_1T = torch.arange(8)[None]
        with torch.no_grad():
            trained_TV, own_TV = model(ids_1T).logits[0], model_of(LlamaConfig(**SHAPE))(ids_1T).logits[0]
        assert (trained_TV - own_TV).abs().max() > 1e-4, "the model trains under autocast as before"
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


def test_a_weight_under_a_name_that_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    model = model_of(LlamaConfig(**SHAPE))
    weights = dict(model.state_dict())
    weights["model.layers.0.mlp.base_layer.up_proj.weight"] = weights.pop("model.layers.0.mlp.up_proj.weight")
    model.save_pretrained(tmp_path, state_dict=weights)
    with pytest.raises(ArtifactError, match=r"would be random: \['model.layers.0.mlp.up_proj.weight'\]"):
        refuse_another_policy(tmp_path, probe_logits(trained(model)))


@pytest.mark.parametrize("config", [
    Qwen3Config(**SHAPE),
    MistralConfig(**SHAPE, sliding_window=16),
    Gemma2Config(**SHAPE, sliding_window=16, attn_logit_softcapping=2.0, query_pre_attn_scalar=16),
], ids=lambda config: config.model_type)  # fmt: skip
def test_packed_rows_are_computed_as_rows_alone_with_windows_and_capped_scores(config: Any) -> None:
    model = model_of(config, packed.register())
    assert mixed_rows(model) is None
    assert model.config._attn_implementation == packed.NAME


def test_a_model_that_carries_a_state_along_the_row_is_found(tmp_path: Path) -> None:
    config = Lfm2Config(**{name: value for name, value in SHAPE.items() if name != "head_dim"},
                        layer_types=["conv", "full_attention"])  # fmt: skip
    assert "rows that lie end to end differ" in str(mixed_rows(model_of(config, packed.register())))
