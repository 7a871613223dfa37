"""The model that the GPU check measures with: Qwen3-1.7B's shape, random weights of seed 0, made on the device.

Speed, memory and rounding depend on the shape alone, so no weights are fetched. The rehearsal takes two small layers on
the CPU. Neighbours: every part of the check (correctness.py, attention.py, memory.py, sft.py, grpo.py).
"""

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from results import Results
from transformers import AutoModelForCausalLM, PreTrainedModel, Qwen3Config

PARAMETERS = 1.72e9  # of Qwen3-1.7B, embeddings counted once
PEAK_FLOPS = 989e12  # of an H100 or H200 (SXM) in dense bfloat16, from its data sheet
GIGABYTE = 1e9


@dataclass(frozen=True)
class Setting:
    """What a part was started with."""

    results: Results
    rehearse: bool

    @classmethod
    def of(cls, part: str) -> "Setting":
        """From the command line of a part: `--out FILE [--rehearse]`. Raises SystemExit where there is no GPU to use."""
        parser = argparse.ArgumentParser()
        parser.add_argument("--out", type=Path, default=Path("gpu-results/results.jsonl"))
        parser.add_argument("--rehearse", action="store_true")
        given = parser.parse_args()
        if not given.rehearse and not torch.cuda.is_available():
            raise SystemExit("torch finds no GPU here; --rehearse tries the check on a CPU")
        given.out.parent.mkdir(parents=True, exist_ok=True)
        return cls(Results(part, given.out, rehearse=given.rehearse), given.rehearse)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.rehearse else "cuda")

    @property
    def config(self) -> Qwen3Config:
        """Qwen3-1.7B, or two layers of its kind."""
        if self.rehearse:
            shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
                     "head_dim": 16, "intermediate_size": 128, "vocab_size": 512}  # fmt: skip
        else:
            shape = {"hidden_size": 2048, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
                     "head_dim": 128, "intermediate_size": 6144, "vocab_size": 151_936}  # fmt: skip
        rope: dict[str, Any] = {"rope_type": "default", "rope_theta": 1_000_000.0}
        return Qwen3Config(**shape, max_position_embeddings=40_960, rope_parameters=rope, tie_word_embeddings=True)

    def model(self, dtype: torch.dtype, attention: str) -> PreTrainedModel:
        """A fresh model, its weights drawn on the device with seed 0."""
        torch.manual_seed(0)
        with self.device:
            made = AutoModelForCausalLM.from_config(self.config, dtype=dtype, attn_implementation=attention)
        return made.to(self.device)

    def milliseconds(self, call: Callable[[], Any]) -> float:
        """The median time of a call on the device, after some to warm up."""
        warm, repeats = (1, 2) if self.rehearse else (3, 10)
        for _ in range(warm):
            call()
        times = []
        for _ in range(repeats):
            synchronize()
            started = time.perf_counter()
            call()
            synchronize()
            times.append((time.perf_counter() - started) * 1e3)
        return statistics.median(times)


def synchronize() -> None:
    """Wait until the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def free() -> None:
    """Give back what nothing refers to any more, so that the next peak is its own."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gigabytes() -> float:
    """The most memory that tensors held at once since `free`, in 10^9 bytes; 0 on a CPU."""
    return torch.cuda.max_memory_allocated() / GIGABYTE if torch.cuda.is_available() else 0.0


def utilisation(tokens_per_second: float, lengths: Sequence[int]) -> float:
    """Model FLOPs utilisation (arXiv 2204.02311, appendix B) of training on rows of these lengths.

    A token costs 6 FLOP a parameter, and causal attention 6 x layers x width x the length of its row. Recomputed
    activations do not count. The width is that of all query heads together, 2048.
    """
    attended = sum(length * length for length in lengths) / sum(lengths)  # the row length that the average token is in
    return tokens_per_second * (6 * PARAMETERS + 6 * 28 * 2048 * attended) / PEAK_FLOPS
