"""What trainers that sample need to compare their log-probs with an engine's: a quiet model, a mean distance, their own type.

Neighbours: rl/logprobs.py and distillation/trainer.py (compare), inference/weights/sync_check.py (what a distance means).
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from trl.models.utils import disable_gradient_checkpointing


@contextlib.contextmanager
def measuring(trainer: Any) -> Iterator[None]:
    """The trainer's model without dropout, and nothing with gradients or checkpointing."""
    model = trainer.model
    was_training = model.training
    model.eval()
    with forward_alone(trainer):
        yield
    model.train(was_training)


@contextlib.contextmanager
def forward_alone(trainer: Any) -> Iterator[None]:
    """Without gradients and checkpointing."""
    checkpointing = disable_gradient_checkpointing(trainer.model, trainer.args.gradient_checkpointing_kwargs)
    with torch.no_grad(), checkpointing:
        yield


def mean_over_ranks(trainer: Any, total: torch.Tensor, count: torch.Tensor) -> float:
    """The mean of what each rank has a sum and a count of; 0 without any. Collective."""
    sums = torch.stack([total, count])
    found, counted = trainer.accelerator.reduce(sums, reduction="sum").tolist()
    return float(found / max(1.0, counted))


def computed_in(trainer: Any) -> str:
    """The floating-point type that the trainer computes in."""
    if trainer.args.bf16 or trainer.args.fp16:
        return "bfloat16" if trainer.args.bf16 else "float16"
    return str(next(trainer.model.parameters()).dtype).removeprefix("torch.")
