"""Policies that are an adapter and a base: loaded as one model, merged into a folder, or given to vLLM as they are.

Neighbours: records/adapter.py (adapters on disk), weights/merged.py (how weights and adapters are added).
"""

import copy
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from alignment.core.errors import ArtifactError
from alignment.inference.attention.varlen import without_plans
from alignment.inference.weights.merged import Rounding, merged_weights
from alignment.inference.weights.unsharded import unsharded
from alignment.records.adapter import ADAPTER_CONFIG, adapter_folder, base_of, is_adapter_alone, quantised_base

MAX_VLLM_RANK = 512  # of vLLM 0.31


@dataclass(frozen=True)
class Merged:
    """What was merged: the adapter on its base, and the fraction of its updates that rounding left (None: nothing was rounded)."""

    adapted: PeftModel
    kept: float | None


def load_whole(policy: str, **options: Any) -> PreTrainedModel:
    """A causal language model from a model folder, a hub id, or a folder that holds an adapter alone, which is folded in.

    options: of `from_pretrained`. Raises ArtifactError if an adapter's base is gone or another, or if weights of the model are
    missing, which transformers would make up at random; else as transformers.
    """
    without_plans()
    if not is_adapter_alone(Path(policy)):
        model, report = AutoModelForCausalLM.from_pretrained(
            policy, use_safetensors=True, output_loading_info=True, **options
        )
        if missing := sorted(map(str, report["missing_keys"])):
            raise ArtifactError(
                f"{policy}: {len(missing)} weights of the model are in none of its files and would be random, such as "
                f"{', '.join(missing[:3])}; download or convert it again"
            )
        return model
    model = folded(load_adapted(policy, **options))
    model.name_or_path = policy  # what an adapter that is trained on it names as its base
    return model


def load_adapted(policy: str, **options: Any) -> PeftModel:
    """The base of a policy's adapter with the adapter on it, not merged; the base may itself be an adapter on another."""
    folder = adapter_folder(Path(policy))
    if folder is None:
        raise ArtifactError(f"{policy} has no adapter: there is no {ADAPTER_CONFIG} in it or in adapter/")
    if (form := quantised_base(Path(policy))) is not None:
        raise ArtifactError(
            f"{policy}: its adapter was trained on a base in 4 bits ({form}), and is another policy on the whole one; use "
            "the model that the stage left, which has the weights that it was trained on"
        )
    return PeftModel.from_pretrained(load_whole(base_of(Path(policy)), **options), str(folder)).eval()


def folded(adapted: PeftModel) -> PreTrainedModel:
    """The model under an adapter with the adapter merged: each changed weight is summed in float32 and rounded once."""
    weights = {name: weight.detach().clone() for name, weight in merged_weights(adapted)}
    model: PreTrainedModel = adapted.unload()
    model.load_state_dict(weights, strict=False)  # shared weights come once
    model.tie_weights()
    return model.requires_grad_(True)  # PEFT had frozen it


def merge_into(policy: str, folder: Path, dtype: str = "auto", *, trust_remote_code: bool = False) -> Merged:
    """Write an adapter and its base as one model folder with safetensors and the tokenizer.

    dtype: of the folder, by torch's name; auto is that of the base.
    """
    # A base is read in its own type, or in float32, so that nothing is rounded before the sum.
    held = dtype if dtype == "float32" else "auto"
    adapted = load_adapted(policy, dtype=held, trust_remote_code=trust_remote_code)
    chosen, rounding = None if dtype == "auto" else getattr(torch, dtype), Rounding()
    weights = {name: weight.detach().clone().contiguous() for name, weight in merged_weights(adapted, chosen, rounding)}
    write_whole(adapted.get_base_model(), weights, folder)
    found = next((path for path in (policy, base_of(Path(policy))) if _has_tokenizer(path)), policy)
    AutoTokenizer.from_pretrained(found, trust_remote_code=trust_remote_code).save_pretrained(folder)
    return Merged(adapted, rounding.kept)


def write_whole(model: PreTrainedModel, weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Write a model folder with these weights, by their names in a checkpoint, and the model's config and generation config.

    A mixture of experts is trained with its router's logits in its output, and decodes without them; weights in 4 bits are
    written out.
    """
    config = copy.deepcopy(model.config)
    if getattr(config.get_text_config(), "output_router_logits", False):
        config.get_text_config().output_router_logits = False
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with unsharded(), torch.device("meta"):
        outline = type(model)._from_config(config, dtype=next(iter(weights.values())).dtype)  # noqa: SLF001  the public way would load weights
    if hasattr(model, "generation_config"):  # a model that only scores has none
        outline.generation_config = model.generation_config
    outline.save_pretrained(folder, state_dict=weights)


def _has_tokenizer(policy: str) -> bool:
    return not Path(policy).is_dir() or (Path(policy) / "tokenizer_config.json").is_file()


def merged_copy(
    policy: str, dtype: str = "auto", *, trust_remote_code: bool = False
) -> "tempfile.TemporaryDirectory[str]":
    """A whole model for an engine that cannot take this adapter, in a folder that lives as long as what is returned."""
    folder = tempfile.TemporaryDirectory(prefix="alignment-merged-")
    merge_into(policy, Path(folder.name), dtype, trust_remote_code=trust_remote_code)
    return folder


def vllm_fault(policy: str) -> str | None:
    """Why vLLM cannot take a policy's adapter as a LoRARequest, so that it has to be merged; None if it can."""
    folder = adapter_folder(Path(policy))
    if folder is None:
        return "there is no adapter"
    base = base_of(Path(policy))
    if is_adapter_alone(Path(base)):
        return "the model under it is itself an adapter on another"
    return vllm_refuses(json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8")))


def vllm_refuses(config: Mapping[str, Any]) -> str | None:
    """What of an adapter's settings (PEFT's names) vLLM 0.31 does not have, or None."""
    for key, what in (
        ("use_dora", "DoRA"),
        ("modules_to_save", "modules that are trained whole"),
        ("trainable_token_indices", "trained tokens"),
        ("target_parameters", "adapters on experts"),
    ):
        if config.get(key):
            return f"vLLM has no {what} in adapters"
    if config.get("r", 0) > MAX_VLLM_RANK:
        return f"its rank {config['r']} is above vLLM's largest, {MAX_VLLM_RANK}"
    return None


def vllm_rank(config: dict[str, Any]) -> int:
    """vLLM's `max_lora_rank` for an adapter: it takes 1, 8, 16, 32, 64, 128, 256, 320 and 512."""
    return next(size for size in (8, 16, 32, 64, 128, 256, 320, MAX_VLLM_RANK) if config["r"] <= size)
