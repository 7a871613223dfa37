"""PEFT's settings for the `lora` block of a stage: which modules get an adapter, tokens, modules trained whole.

Neighbours: recipe/blocks/lora.py (the block), policy.py (loads and saves), inference/weights/merged.py (folds adapters
in).
"""

import torch
from peft import LoraConfig
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from alignment.core.errors import ArtifactError
from alignment.recipe.blocks.lora import EMBEDDINGS, HEADS, PRESETS, Lora, in_preset


def adapter_config(
    lora: Lora | None, tokenizer: PreTrainedTokenizerBase, model: torch.nn.Module | None = None
) -> LoraConfig | None:
    """The PEFT settings of a new adapter; None without LoRA, or if an adapter is continued.

    model: what gets the adapter; presets other than all-linear are looked up in it. Raises ArtifactError if a preset finds
    nothing there.
    """
    if lora is None or lora.adapter == "continue":
        return None
    tokens = [tokenizer.convert_tokens_to_ids(token) for token in lora.train_tokens]
    whole = lora.modules_to_save or None
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.variant == "rslora",
        use_dora=lora.variant == "dora",
        init_lora_weights="gaussian" if lora.initialisation == "gaussian" else True,
        target_modules=_targets(lora, model),
        modules_to_save=whole,
        ensure_weight_tying=whole is not None and _ties(model) and any(map(_is_tied, whole)),
        trainable_token_indices=_token_rows(tokens, model),
        task_type="CAUSAL_LM",
    )


def under_new_head(adapter: LoraConfig, heads: list[str], task: str | None) -> LoraConfig:
    """The settings of an adapter on a model whose heads, by their names, are new.

    They are trained whole, and are so a part of the adapter's checkpoints. task: PEFT's task type.
    """
    adapter.task_type, adapter.exclude_modules = task, heads
    adapter.modules_to_save = [*(adapter.modules_to_save or []), *heads]
    return adapter


def _token_rows(tokens: list[int], model: torch.nn.Module | None) -> dict[str, list[int]] | None:
    """The rows of trained tokens: in the embeddings and, where the head is a matrix of its own, there too.

    Without the head's rows the model would read new tokens and never learn to write them.
    """
    if not tokens:
        return None
    inputs = {"embed_tokens": tokens}
    return inputs if model is None or _ties(model) else {**inputs, "lm_head": tokens}


def _targets(lora: Lora, model: torch.nn.Module | None) -> str | list[str]:
    """PEFT's `target_modules`: it has all-linear itself, and takes a text for a pattern, not for a name."""
    if not isinstance(lora.targets, str):
        return lora.targets
    if lora.targets == "all-linear":
        return lora.targets
    return _of_preset(model, lora.targets) if lora.targets in PRESETS and model is not None else [lora.targets]


def _of_preset(model: torch.nn.Module, preset: str) -> list[str]:
    """The linear layers of a preset by the ends of their names, or whole where another layer ends the same."""
    linear = [name for name, module in model.named_modules() if isinstance(module, (torch.nn.Linear, Conv1D))]
    experts = [f"{name}.{one}" for name, module in model.named_modules() if name.endswith(".experts")
               for one, parameter in module.named_parameters(recurse=False) if parameter.dim() == 3]  # fmt: skip
    found = [name for name in linear if in_preset(name, preset)]
    if experts and preset == "mlp":
        raise ArtifactError(
            "`targets: mlp` has no meaning for this model, whose MLPs are experts: write `targets: all-linear`, or name "
            "the modules"
        )
    if not found:
        raise ArtifactError(
            f"`targets: {preset}` finds no linear layer in this model; name its modules, or write all-linear"
        )
    others = {name.rpartition(".")[2] for name in linear if not in_preset(name, preset)}
    return sorted({name if name.rpartition(".")[2] in others else name.rpartition(".")[2] for name in found})


def _ties(model: torch.nn.Module | None) -> bool:
    """Whether the model's input embeddings are its output head."""
    if not isinstance(model, PreTrainedModel):
        return False
    return bool(getattr(model.config.get_text_config(), "tie_word_embeddings", False))


def _is_tied(module: str) -> bool:
    """Whether a module is one of the two that a model may tie."""
    return module.rpartition(".")[2] in (*EMBEDDINGS, *HEADS)
