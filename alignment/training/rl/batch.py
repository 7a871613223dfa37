"""What an optimizer step trains on: rollouts as tensors.

    B  rows (completions) of this rank: of a whole step, or of one micro-batch
    P  tokens of the longest prompt; prompts are padded on the left
    C  tokens of the longest completion; completions are padded on the right

Completions may hold tokens that the policy did not sample (a forced stop text, a tool's result): they are attended to and
carry no loss. Neighbours: rollouts.py (where rows come from), training/packing.py (how they are computed), losses.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch.nn.utils.rnn import pad_sequence

from alignment.training.rl.engine_weights import EngineWeights

Following = Sequence[Sequence[str]]
GAP_ROWS = 4  # of each rank, whose log-probs are compared with the engine's at every step


@dataclass(frozen=True)
class Row:
    """One sampled completion. logprobs are the engine's; sampled marks tokens that are the policy's own.

    staleness: steps by which the oldest weights that sampled any of its tokens are older than the policy.
    """

    prompt_ids: Sequence[int]
    completion_ids: Sequence[int]
    logprobs: Sequence[float]
    sampled: Sequence[bool]
    truncated: bool
    staleness: int = 0


@dataclass(frozen=True)
class RowSteps:
    """The steps of one completion. of_token: the step of each of its tokens, -1 for none.

    scores: from 0 to 1; empty where the completion could not be scored. process: their aggregate. right: whether the final
    answer is. lengths: tokens of each step.
    """

    of_token: Sequence[int]
    scores: Sequence[float]
    process: float | None
    right: bool | None
    lengths: Sequence[int] = ()


@dataclass(frozen=True)
class RewardParts:
    """The scores that rewards are the weighted sums of, in one order for all rows and ranks.

    scores: (B, V), 0 where a score is not applicable. weights: (V,).
    """

    scores: Sequence[Sequence[float]]
    weights: Sequence[float]


@dataclass(frozen=True)
class RolledOut:
    """One step's rollouts on this rank: rows, the reward of each (None: could not be judged), and figures to record.

    parts: what each reward is the weighted sum of, for algorithms that normalise it before it is added up.
    steps: one for each row, where a process scorer has looked at them.
    probes: rows with the log-probs that the engine gives them with the policy's own weights, where `rows` have older ones.
    """

    rows: Sequence[Row]
    rewards: Sequence[float | None]
    figures: dict[str, float]
    steps: Sequence[RowSteps] | None = None
    probes: Sequence[Row] = ()
    parts: RewardParts | None = None


class RolloutSource(Protocol):
    """What a trainer asks for a step's rollouts: rollouts.py, or what a test gives in its place."""

    def roll_out(
        self, problem_ids: Sequence[str], step: int, weights: EngineWeights, following: Following = ()
    ) -> RolledOut:
        """A completion for each id, which stands once for each generation. weights: what the trainer holds now.

        following: the ids of each of the next steps, which may be sampled ahead; none after the last step.
        """
        ...


@dataclass(frozen=True)
class StepBatch:
    """Rows of one step as tensors, in the form in which TRL shuffles and splits them into micro-batches."""

    prompt_ids_BP: torch.Tensor
    prompt_mask_BP: torch.Tensor
    completion_ids_BC: torch.Tensor
    completion_mask_BC: torch.Tensor
    loss_mask_BC: torch.Tensor
    engine_BC: torch.Tensor
    advantages_BC: torch.Tensor
    step_tokens: torch.Tensor  # scalar: tokens that carry loss, in the whole step on all ranks
    old_BC: torch.Tensor | None = None
    reference_BC: torch.Tensor | None = None

    @property
    def ids(self) -> torch.Tensor:
        """Prompts and completions, (B, P + C)."""
        return torch.cat([self.prompt_ids_BP, self.completion_ids_BC], dim=1)

    @property
    def mask(self) -> torch.Tensor:
        """1 for what is not padding, (B, P + C)."""
        return torch.cat([self.prompt_mask_BP, self.completion_mask_BC], dim=1)

    def columns(self) -> dict[str, torch.Tensor | None]:
        """The tensors by field name; `StepBatch(**columns)` makes a batch of them again."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def rows(self, index_K: torch.Tensor) -> "StepBatch":
        """The rows at an index, in its order."""
        chosen = {
            name: value if value is None or value.ndim == 0 else value[index_K]
            for name, value in self.columns().items()
        }
        return StepBatch(**chosen)

    def with_gradient(self, *, advantage_alone: bool) -> torch.Tensor:
        """Which rows can change the loss. advantage_alone: nothing but the advantage carries a gradient."""
        carries_BC = self.loss_mask_BC * self.advantages_BC if advantage_alone else self.loss_mask_BC
        return carries_BC.ne(0).any(dim=1)

    def rows_with_gradient(self, *, advantage_alone: bool) -> torch.Tensor:
        """The index of those rows, never empty.

        Where there is none, the shortest stays: every rank of a sharded model has to take part in each forward and backward
        pass.
        """
        kept_K = self.with_gradient(advantage_alone=advantage_alone).nonzero()[:, 0]
        return kept_K if len(kept_K) else self.mask.sum(dim=1).argmin()[None]


def as_tensors(rows: Sequence[Row], *, pad_id: int, mask_truncated: bool, device: torch.device) -> StepBatch:
    """Rows as a batch without advantages (zeros) and with its own count of tokens as the step's.

    mask_truncated: completions that were cut off carry no loss.
    """
    completion_mask_BC = _right([torch.ones(len(row.completion_ids)) for row in rows], 0)
    loss_mask_BC = _right([torch.tensor(row.sampled, dtype=torch.float32) for row in rows], 0)
    if mask_truncated:
        loss_mask_BC[torch.tensor([row.truncated for row in rows])] = 0
    batch = StepBatch(
        prompt_ids_BP=_left([torch.tensor(row.prompt_ids) for row in rows], pad_id),
        prompt_mask_BP=_left([torch.ones(len(row.prompt_ids), dtype=torch.long) for row in rows], 0),
        completion_ids_BC=_right([torch.tensor(row.completion_ids) for row in rows], pad_id),
        completion_mask_BC=completion_mask_BC.long(),
        loss_mask_BC=loss_mask_BC,
        engine_BC=_right([torch.tensor(row.logprobs) for row in rows], 0),
        advantages_BC=torch.zeros_like(loss_mask_BC),
        step_tokens=loss_mask_BC.sum(),
    )
    return StepBatch(**{name: None if one is None else one.to(device) for name, one in batch.columns().items()})


def _right(rows: list[torch.Tensor], padding: float) -> torch.Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=padding)


def _left(rows: list[torch.Tensor], padding: float) -> torch.Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=padding, padding_side="left")
