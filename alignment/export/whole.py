"""Writes a run's policy as one model folder that anybody's transformers loads, and proves that it is the same policy.

A whole policy is copied byte for byte, an adapter merged with its base. Tokenizer, chat template and generation config go along.
Neighbours: inference/adapters.py (merges), training/saved.py (the proof), card.py (the folder's README.md).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from alignment.inference.adapters import load_whole, merge_into
from alignment.records.adapter import ADAPTER_BASE, ADAPTER_CONFIG, is_adapter_alone
from alignment.training.saved import loaded_logits, refuse_another_policy

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
# What stands beside weights and is no part of a whole model.
LEFT_BEHIND = frozenset((ADAPTER_BASE, ADAPTER_CONFIG, "README.md", "adapter_model.safetensors", "training_args.bin"))


@dataclass(frozen=True)
class Written:
    """distance: of the folder's logits from the policy's on a probe, in standard deviations. kept: the fraction of an
    adapter's updates that rounding left, None where nothing was rounded.
    """

    distance: float
    kept: float | None = None


def write_whole_policy(policy: Path, folder: Path, dtype: Dtype, *, trust_remote_code: bool = False) -> Written:
    """Write a policy as a whole model. Raises ArtifactError if what was written is another policy, or cannot be loaded.

    dtype: of the weights; auto is the policy's own, or that of an adapter's base.
    """
    if is_adapter_alone(policy):
        merged = merge_into(str(policy), folder, dtype, trust_remote_code=trust_remote_code)
        _copy(policy, folder, weights=False)
        expected, kept = loaded_logits(merged.adapted), merged.kept
    else:
        chosen = "auto" if dtype == "auto" else getattr(torch, dtype)
        model, kept = load_whole(str(policy), dtype="auto", trust_remote_code=trust_remote_code), None
        expected = loaded_logits(model)
        if dtype == "auto":
            _copy(policy, folder, weights=True)
        else:
            model.to(chosen).save_pretrained(folder)
            _copy(policy, folder, weights=False)
    return Written(refuse_another_policy(folder, expected, trust_remote_code=trust_remote_code), kept)


def _copy(policy: Path, folder: Path, *, weights: bool) -> None:
    """Copy what stands beside the weights, and on request they too. A config that was written for other weights stays."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(policy.iterdir()):
        of_weights = path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json")
        if path.is_dir() or path.name in LEFT_BEHIND or (not weights and (of_weights or path.name == "config.json")):
            continue
        shutil.copyfile(path, folder / path.name)
