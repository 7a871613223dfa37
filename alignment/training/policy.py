"""Loads and saves policies, with or without LoRA adapters, sharded or not.

A stage's output is a whole model that anything can load. With LoRA it also holds the adapter, which a later stage can
continue to train, or the adapter alone. All weights leave a trainer through `merged_weights`. Neighbours:
training/stages/ (the trainers), adapter_config.py (new adapters), inference/adapters.py and inference/weights/ (how
they are loaded and merged).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from peft.utils.other import TrainableTokensWrapper
from transformers import BitsAndBytesConfig, PreTrainedModel

from alignment.core.errors import ArtifactError
from alignment.inference.adapters import load_whole, write_whole
from alignment.inference.weights.merged import Rounding, adapter_weights, merged_weights
from alignment.recipe.blocks.lora import Lora
from alignment.records.adapter import ADAPTER, ADAPTER_BASE, adapter_folder, base_of, describe_base
from alignment.training.context import StageContext
from alignment.training.fused import fuse
from alignment.training.launched import is_deepspeed


def load_policy(context: StageContext, attention: str | None = None) -> torch.nn.Module:
    """The policy a stage starts from: a transformers model, or a PEFT model with the adapter of an earlier stage.

    attention: name of an attention implementation, in place of the model's default. Raises ArtifactError that names the
    folder if its weights or adapter cannot be read.
    """
    lora: Lora | None = context.stage.lora
    if lora is None or lora.adapter == "new":
        return load_model(context, context.policy_path, attention)
    adapter = adapter_folder(Path(context.policy_path))
    if adapter is None:
        raise ArtifactError(
            f"{context.policy_path}/{ADAPTER} is missing: `adapter: continue` needs a stage before this one that trained an "
            "adapter; write `adapter: new`, or add a lora block to that stage"
        )
    base = load_model(context, base_of(Path(context.policy_path)), attention)
    return PeftModel.from_pretrained(base, str(adapter), is_trainable=True)


def load_model(context: StageContext, path: str, attention: str | None = None) -> PreTrainedModel:
    """A causal language model from safetensors, in the stage's `weights_dtype`. Raises ArtifactError if it is damaged."""
    lora: Lora | None = context.stage.lora
    try:
        model = load_whole(
            path,
            dtype=weights_dtype(context),
            attn_implementation=attention,
            trust_remote_code=context.recipe.trust_remote_code,
            **({} if lora is None or lora.quantise is None else quantised(weights_dtype(context))),
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{path}: the model cannot be loaded ({error})") from error
    except Exception as error:  # safetensors raises its own class, which derives from Exception alone
        if type(error).__module__.startswith("safetensors"):
            raise ArtifactError(f"{path}: its safetensors file is damaged ({error})") from error
        raise
    without_router_loss(model)
    fuse(model)
    return model


def without_router_loss(model: PreTrainedModel) -> None:
    """Turn off the load-balancing loss of an architecture whose experts TRL 1.16 cannot count, and say so if it has any.

    TRL reads `num_experts`. Granite 4's config counts `num_local_experts`, which is 0 in its dense models.
    """
    config = model.config.get_text_config()
    if not hasattr(config, "output_router_logits") or hasattr(config, "num_experts"):
        return
    config.router_aux_loss_coef = 0.0
    if getattr(config, "num_local_experts", 0):
        print(f"{config.model_type}: trained without the load-balancing loss of its router", flush=True)


def without_adapter(policy: torch.nn.Module) -> PreTrainedModel:
    """The transformers model of a policy, with the layers that an adapter has put into it."""
    model: PreTrainedModel = policy.get_base_model() if isinstance(policy, PeftModel) else policy
    return model


def weights_dtype(context: StageContext) -> torch.dtype:
    """The floating-point type of the weights in the trainer. For 4-bit weights, the one that they are computed with."""
    chosen = context.stage.resolved_weights_dtype(on_gpu=torch.cuda.is_available(), deepspeed=is_deepspeed())
    dtype: torch.dtype = getattr(torch, chosen)
    return dtype


def quantised(dtype: torch.dtype) -> dict[str, Any]:
    """Options of `from_pretrained` that hold weights as NormalFloat4 with double quantisation (QLoRA, arXiv 2305.14314), computed in dtype."""
    where = PartialState().local_process_index if torch.cuda.is_available() else "cpu"
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"quantization_config": config, "device_map": {"": where}}


def complete_head(model: torch.nn.Module) -> None:
    """Add the `bias` that TRL's loss reads to an output head that PEFT has wrapped for trained tokens.

    With tied embeddings the wrapper replaces the output head and exposes only `weight`, deltas included.
    """
    for module in model.modules():
        if isinstance(module, TrainableTokensWrapper) and not hasattr(module, "bias"):
            module.bias = None


def save_policy(context: StageContext, trainer: Any, output: Path) -> None:
    """Write the trained policy, its tokenizer and, with LoRA, the adapter. Collective: every rank must call it.

    With `output: adapter`, the adapter and the config that its model has, and no weights of the model.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    alone = context.stage.lora is not None and context.stage.lora.output == "adapter"
    rounding = Rounding()
    weights = {} if alone else _on_main(context, merged_weights(model, rounding=rounding))
    adapter = _on_main(context, adapter_weights(model))
    if not context.is_main:
        return
    if rounding.kept is not None:
        context.counts["merge_changed_fraction"] = round(rounding.kept, 4)
    inner = without_adapter(model)
    if alone:
        inner.config.save_pretrained(output)
        inner.generation_config.save_pretrained(output)
    else:
        write_whole(inner, weights, output)
    trainer.processing_class.save_pretrained(output)
    if isinstance(model, PeftModel):
        _save_adapter(model, adapter, output if alone else output / ADAPTER)
        base = str(model.peft_config["default"].base_model_name_or_path)
        form = None if context.stage.lora is None else context.stage.lora.quantise
        describe_base(base, output, form).write(output / ADAPTER_BASE)


def _save_adapter(model: PeftModel, adapter: dict[str, torch.Tensor], folder: Path) -> None:
    """Write an adapter as PEFT has it; the card that PEFT adds says nothing, and a run has its manifest."""
    model.save_pretrained(folder, selected_adapters=["default"], state_dict=adapter)
    (folder / "README.md").unlink(missing_ok=True)


def _on_main(context: StageContext, weights: Iterator[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Weights on the main process's CPU; the other ranks take part in gathering them and keep none."""
    return {name: weight.detach().to("cpu", copy=True).contiguous() for name, weight in weights if context.is_main}
