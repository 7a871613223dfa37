"""Loads and saves policies, with or without LoRA adapters, sharded or not.

A stage's output is always a whole model that anything can load. With LoRA it also holds the adapter, which a later stage
can continue to train. All weights leave a trainer through `merged_weights`. Neighbours: training/stages/ (the trainers),
inference/weights/ (weight sync).
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.utils.other import TrainableTokensWrapper
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from alignment.core.errors import ArtifactError
from alignment.core.files import read_json, write_json
from alignment.inference.weights.merged import adapter_weights, merged_weights
from alignment.inference.weights.unsharded import unsharded
from alignment.recipe.lora import Lora
from alignment.training.context import StageContext

ADAPTER, ADAPTER_BASE = "adapter", "adapter_base.json"


def load_policy(context: StageContext, attention: str | None = None) -> torch.nn.Module:
    """The policy a stage starts from: a transformers model, or a PEFT model with the adapter of an earlier stage.

    attention: name of an attention implementation, in place of the model's default. Raises ArtifactError that names the
    folder if its weights or adapter cannot be read.
    """
    lora: Lora | None = context.stage.lora
    if lora is None or lora.adapter == "new":
        return load_model(context, context.policy_path, attention)
    adapter = Path(context.policy_path) / ADAPTER
    if not adapter.is_dir():
        raise ArtifactError(
            f"{adapter} is missing: `adapter: continue` needs a stage before this one that trained an adapter; "
            "write `adapter: new`, or add a lora block to that stage"
        )
    base = read_json(Path(context.policy_path) / ADAPTER_BASE)["base"]
    return PeftModel.from_pretrained(load_model(context, base, attention), str(adapter), is_trainable=True)


def load_model(context: StageContext, path: str, attention: str | None = None) -> PreTrainedModel:
    """A causal language model from safetensors, in the stage's `weights_dtype`. Raises ArtifactError if it is damaged."""
    chosen = context.stage.weights_dtype
    # DeepSpeed keeps its own float32 master copy, and LoRA trains a float32 adapter on a frozen base.
    rounded = torch.cuda.is_available() and (context.stage.lora is not None or is_deepspeed())
    dtype = (torch.bfloat16 if rounded else torch.float32) if chosen == "auto" else getattr(torch, chosen)
    try:
        return AutoModelForCausalLM.from_pretrained(
            path,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=context.recipe.trust_remote_code,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{path}: the model cannot be loaded ({error})") from error
    except Exception as error:  # safetensors raises its own class, which derives from Exception alone
        if type(error).__module__.startswith("safetensors"):
            raise ArtifactError(f"{path}: its safetensors file is damaged ({error})") from error
        raise


def complete_head(model: torch.nn.Module) -> None:
    """Add the `bias` that TRL's loss reads to an output head that PEFT has wrapped for trained tokens.

    With tied embeddings the wrapper replaces the output head and exposes only `weight`, deltas included.
    """
    for module in model.modules():
        if isinstance(module, TrainableTokensWrapper) and not hasattr(module, "bias"):
            module.bias = None


def is_deepspeed() -> bool:
    """Whether accelerate's launcher started this process with DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


def adapter_config(lora: Lora | None, tokenizer: PreTrainedTokenizerBase) -> LoraConfig | None:
    """The PEFT settings of a new adapter; None without LoRA, or if an adapter is continued."""
    if lora is None or lora.adapter == "continue":
        return None
    tokens = [tokenizer.convert_tokens_to_ids(token) for token in lora.train_tokens]
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        trainable_token_indices={"embed_tokens": tokens} if tokens else None,
        task_type="CAUSAL_LM",
    )


def save_policy(context: StageContext, trainer: Any, output: Path) -> None:
    """Write the trained policy, its tokenizer and, with LoRA, the adapter. Collective: every rank must call it."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    weights = _on_main(context, merged_weights(model))
    adapter = _on_main(context, adapter_weights(model))
    if not context.is_main:
        return
    inner: PreTrainedModel = model.get_base_model() if isinstance(model, PeftModel) else model
    _outline(inner, next(iter(weights.values())).dtype).save_pretrained(output, state_dict=weights)
    trainer.processing_class.save_pretrained(output)
    if isinstance(model, PeftModel):
        model.save_pretrained(output / ADAPTER, selected_adapters=["default"], state_dict=adapter)
        base = {"base": str(model.peft_config["default"].base_model_name_or_path)}
        write_json(output / ADAPTER_BASE, base)


def _on_main(context: StageContext, weights: Iterator[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Weights on the main process's CPU; the other ranks take part in gathering them and keep none."""
    return {name: weight.detach().to("cpu", copy=True).contiguous() for name, weight in weights if context.is_main}


def _outline(inner: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """A model of the same architecture without weights, which knows how to write those it is given.

    A mixture of experts is trained with its router's logits in its output, and decodes without them.
    """
    config = copy.deepcopy(inner.config)
    if getattr(config.get_text_config(), "output_router_logits", False):
        config.get_text_config().output_router_logits = False
    with unsharded(), torch.device("meta"):
        outline = type(inner)._from_config(config, dtype=dtype)  # noqa: SLF001  the public way would load weights
    outline.generation_config = inner.generation_config
    return outline
