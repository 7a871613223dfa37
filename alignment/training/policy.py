"""Loads and saves policies, with or without LoRA adapters, sharded or not.

A stage's output is always a whole model that anything can load. With LoRA it also holds the adapter, which a later stage
can continue to train. All weights leave a trainer through `merged_weights`. Neighbours: training/stages/ (the trainers),
inference/weights/ (weight sync).
"""

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer, ParamWrapper
from peft.tuners.trainable_tokens import TrainableTokensLayer
from peft.utils.other import TrainableTokensWrapper
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from alignment.core.errors import ArtifactError
from alignment.core.files import read_json, write_json
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


def merged_weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every weight of the policy with its checkpoint name, adapters merged, one at a time.

    Under ZeRO-3 each weight is gathered, yielded and released, so every rank must consume the whole iterator.
    """
    adapters = {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    tokens = {name: module for name, module in model.named_modules() if isinstance(module, TrainableTokensLayer)}
    for name, parameter in model.named_parameters():
        if _is_adapter_part(name):
            continue
        owners = _owners(name)
        around = next(
            (tokens.get(owner) or adapters[owner] for owner in owners if owner in tokens or owner in adapters), None
        )
        gathered = [parameter] if around is None else list(around.parameters())
        with _gathered(gathered), torch.no_grad():
            weight = parameter.detach()
            for owner in owners:
                if owner in tokens:
                    weight = tokens[owner].get_merged_weights(list(tokens[owner].active_adapters))
                elif owner in adapters and _adapts(adapters[owner], name):
                    layer = adapters[owner]
                    weight = weight + sum(layer.get_delta_weight(one).to(weight.dtype) for one in layer.active_adapters)
            yield _checkpoint_name(name), weight


def _owners(name: str) -> list[str]:
    """The modules that PEFT has put around a parameter's own, the outermost first: experts have one for each matrix."""
    parts = name.split(".")
    return [".".join(parts[:place]) for place, part in enumerate(parts) if part == "base_layer"]


def _adapts(layer: LoraLayer, name: str) -> bool:
    """Whether an adapter is one of this parameter: of a linear layer's weight, or of the matrix of experts it names."""
    return name.endswith(f".{layer.parameter_name if isinstance(layer, ParamWrapper) else 'weight'}")


def save_policy(context: StageContext, trainer: Any, output: Path) -> None:
    """Write the trained policy, its tokenizer and, with LoRA, the adapter. Collective: every rank must call it."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    weights = _on_main(context, merged_weights(model))
    adapter = _on_main(context, _adapter_weights(model))
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


def _adapter_weights(model: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The adapter's own weights by name, as merged_weights gives the policy's."""
    for name, parameter in model.named_parameters():
        if _is_adapter_part(name):
            with _gathered([parameter]):
                yield name, parameter


@contextlib.contextmanager
def _gathered(parameters: list[torch.nn.Parameter]) -> Iterator[None]:
    """Gather ZeRO-3 shards for the duration; a no-op for whole parameters."""
    if not any(hasattr(parameter, "ds_id") for parameter in parameters):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(parameters):
        yield


def _is_adapter_part(name: str) -> bool:
    return any(part in name for part in ("lora_A", "lora_B", "lora_embedding", "lora_magnitude", "trainable_tokens"))


def _checkpoint_name(name: str) -> str:
    """A parameter's name in a checkpoint, without what PEFT and a wrapper have put into it."""
    bare = name.removeprefix("module.").removeprefix("base_model.model.")
    return ".".join(part for part in bare.split(".") if part not in ("base_layer", "token_adapter"))
