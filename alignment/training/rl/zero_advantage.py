"""GRPO's loss without the rows that cannot change it.

A group whose completions score alike has advantages of exactly zero (rollout/groups.py). Where nothing else enters the
loss, its rows are multiplied by zero after a forward and a backward pass each; a policy that is right in half of its
groups spends half of its training so. Here they are left out of each micro-batch, and the columns of padding that no row
left needs with them. The divisor is the token count of the whole step, which TRL took before: the gradient is the same.
"""

from typing import Any

import torch
from trl import GRPOTrainer

# TRL's losses that divide by a count of tokens that is fixed before; the others divide by the rows or tokens they see.
FIXED_DIVISOR = {"cispo", "dapo", "vespo"}
OF_PROMPTS = ("prompt_ids", "prompt_mask")
OF_COMPLETIONS = ("completion_ids", "completion_mask", "tool_mask", "old_per_token_logps", "sampling_per_token_logps",
                  "importance_sampling_ratio", "ref_per_token_logps")  # fmt: skip


def drop_zero_advantage_rows(trainer: GRPOTrainer) -> None:
    """Make a trainer leave rows of zero advantage out of its loss, where that leaves the gradient as it is."""
    if not drops_zero_advantage_rows(trainer):
        return
    whole_loss = trainer.compute_loss

    def compute_loss(model: torch.nn.Module, inputs: dict[str, Any], *arguments: Any, **options: Any) -> torch.Tensor:
        return whole_loss(model, telling(inputs), *arguments, **options)

    trainer.compute_loss = compute_loss


def drops_zero_advantage_rows(trainer: GRPOTrainer) -> bool:
    """Whether a row's advantage is all that carries its gradient: no KL, entropy or router loss, and a fixed divisor."""
    settings = trainer.args
    alone = settings.beta == 0 and not trainer.aux_loss_enabled and settings.top_entropy_quantile == 1.0
    return alone and not trainer._entropy_bonus_enabled and settings.loss_type in FIXED_DIVISOR  # noqa: SLF001


def telling(inputs: dict[str, Any]) -> dict[str, Any]:
    """A micro-batch with the rows of nonzero advantage alone, or its shortest row where there is none.

    Prompts are (B, P) and padded on the left, completions (B, C) and padded on the right, as TRL lays them out. One row
    has to stay: every rank of a sharded model runs a backward pass.
    """
    advantages_B = inputs["advantages"]
    kept = advantages_B.nonzero()[:, 0]
    if not len(kept):
        lengths_B = inputs["prompt_mask"].sum(dim=1) + inputs["completion_mask"].sum(dim=1)
        kept = lengths_B.argmin()[None]
    first = int(inputs["prompt_mask"][kept].any(dim=0).long().argmax())
    last = max(1, int(inputs["completion_mask"][kept].sum(dim=1).max()))
    rows = {name: inputs[name][kept, first:] for name in OF_PROMPTS}
    # What is told of whole sequences has one column.
    rows |= {name: inputs[name][kept, :last] for name in OF_COMPLETIONS if name in inputs}
    return {**inputs, **rows, "advantages": advantages_B[kept]}
