"""Losses: what each algorithm minimises at each token, and what is averaged over. Pure functions on tensors.

    B rows of a micro-batch, T tokens of the longest completion
    logprobs_BT     log-probs of the sampled tokens under the policy that is trained; carries the gradient
    old_BT          the same before this step's first update; equal to logprobs_BT, without gradient, where there is one
    engine_BT       the same as the engine reported them while sampling
    reference_BT    the same under the policy at the stage's start
    advantages_BT   advantages.py, one value a token
    mask_BT         1 for the tokens that carry loss

A loss takes (Tokens, its algorithm) and returns (B, T). To add one: a class in recipe/blocks/algorithm.py, a function
and a line in LOSSES here. Neighbours: advantages.py (before), trainer.py (around).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from alignment.recipe.blocks.algorithm import (
    AlgorithmFields,
    Average,
    Cispo,
    Dapo,
    DrGrpo,
    Grpo,
    GrpoProcess,
    Gspo,
    Papo,
    Pure,
    Rloo,
    Vine,
)
from alignment.recipe.own.function import named_function

Loss = Callable[["Tokens", Any], torch.Tensor]


@dataclass(frozen=True)
class Tokens:
    """What a loss reads of a micro-batch; every tensor is (B, T)."""

    logprobs_BT: torch.Tensor
    old_BT: torch.Tensor
    engine_BT: torch.Tensor
    advantages_BT: torch.Tensor
    mask_BT: torch.Tensor
    entropy_BT: torch.Tensor | None = None
    reference_BT: torch.Tensor | None = None

    @property
    def ratio(self) -> torch.Tensor:
        """pi / pi_old of each token."""
        return torch.exp(self.logprobs_BT - self.old_BT)


@dataclass(frozen=True)
class StepSize:
    """What the loss of an optimizer step is divided by, over all its micro-batches, divided by the number of ranks.

    Gradients are averaged over ranks, so that the sum over micro-batches of each rank's loss is the step's own. Fixed
    before the step: what a row contributes depends on no other row of its micro-batch.
    """

    tokens: float  # that carry loss
    sequences: float
    max_completion_tokens: int


def clipped_ratio(tokens: Tokens, algorithm: Grpo | Dapo | DrGrpo | Papo | Pure | GrpoProcess | Vine) -> torch.Tensor:
    """-min(r A, clip(r, 1 - low, 1 + high) A), r the ratio of each token.

    PPO's surrogate (arXiv 1707.06347, equation 7) as in GRPO (arXiv 2402.03300, equation 3), with low = high; DAPO (arXiv
    2503.14476, section 3.1, clip-higher) raises high alone, so that unlikely tokens may gain.
    """
    return _pessimistic(tokens.ratio, tokens.advantages_BT, algorithm.clip_low, algorithm.clip_high)


def clipped_sequence_ratio(tokens: Tokens, algorithm: Gspo) -> torch.Tensor:
    """-min(s A, clip(s, 1 - low, 1 + high) A), s = exp(mean of log r over an answer's tokens).

    GSPO (arXiv 2507.18071, section 4.1, equations 5 to 7) in the form of GSPO-token (section 4.3): each token has the
    value of s and its own gradient, which is the same for one advantage an answer, and takes one a token as well.
    """
    log_ratio_BT = (tokens.logprobs_BT - tokens.old_BT).detach() * tokens.mask_BT
    log_ratio_B1 = log_ratio_BT.sum(dim=1, keepdim=True) / tokens.mask_BT.sum(dim=1, keepdim=True).clamp(min=1)
    own_BT = torch.exp(tokens.logprobs_BT - tokens.logprobs_BT.detach())  # 1, with the token's gradient
    ratio_BT = torch.exp(log_ratio_B1) * own_BT
    return _pessimistic(ratio_BT, tokens.advantages_BT, algorithm.clip_low, algorithm.clip_high)


def clipped_weight(tokens: Tokens, algorithm: Cispo) -> torch.Tensor:
    """-sg(min(r, max_weight)) A log pi: the weight is clipped, not the token; no token loses its gradient.

    CISPO (arXiv 2506.13585, section 3.1, equations 4 and 5), without a lower bound, as the paper runs it.
    """
    weight_BT = tokens.ratio.detach().clamp(max=algorithm.max_weight)
    return -weight_BT * tokens.advantages_BT * tokens.logprobs_BT


def reinforce(tokens: Tokens, algorithm: Rloo) -> torch.Tensor:
    """-A log pi, summed over an answer: the whole answer is one action. RLOO (arXiv 2402.14740)."""
    return -tokens.advantages_BT * tokens.logprobs_BT


LOSSES: dict[str, Loss] = {
    "grpo": clipped_ratio,
    "dapo": clipped_ratio,
    "dr_grpo": clipped_ratio,
    "gspo": clipped_sequence_ratio,
    "cispo": clipped_weight,
    "rloo": reinforce,
    "papo": clipped_ratio,
    "pure": clipped_ratio,
    "grpo_process": clipped_ratio,
    "vine": clipped_ratio,
}


def loss_of(algorithm: AlgorithmFields) -> Loss:
    """The function an algorithm names: its type's, or the user's own. Raises RecipeError."""
    if algorithm.loss is None:
        return LOSSES[algorithm.type]
    return named_function(algorithm.loss, ("tokens", "algorithm"))


def kl_to_reference(logprobs_BT: torch.Tensor, reference_BT: torch.Tensor) -> torch.Tensor:
    """pi_ref / pi - log(pi_ref / pi) - 1, an unbiased estimate of KL(pi || pi_ref) that is never negative.

    GRPO (arXiv 2402.03300, equation 4).
    """
    log_ratio_BT = reference_BT - logprobs_BT
    return torch.exp(log_ratio_BT) - log_ratio_BT - 1


def importance_weight(old_BT: torch.Tensor, engine_BT: torch.Tensor, cap: float) -> torch.Tensor:
    """min(pi_old / pi_engine, cap): truncated importance sampling, for tokens that another program sampled.

    The engine's kernels and dtype make its policy another one than the trainer's, and the gradient biased. Truncated as
    in IMPALA (arXiv 1802.01561, section 4.1). Carries no gradient. Right only where tokens are drawn from the whole
    distribution at temperature 1, which `alignment check` sees to.
    """
    return torch.exp((old_BT - engine_BT).detach()).clamp(max=cap)


def averaged(loss_BT: torch.Tensor, mask_BT: torch.Tensor, average: Average, step: StepSize) -> torch.Tensor:
    """A micro-batch's part of the step's average, a scalar.

    tokens: every token counts alike (DAPO, arXiv 2503.14476, section 3.3). sequences: the mean of each answer's mean
    (GRPO, arXiv 2402.03300, equation 3), so that a token of a long answer counts less. constant: by a length that does not
    depend on the answer (Dr. GRPO, arXiv 2503.20783, section 3.2). sequence_sums: the mean of each answer's sum (REINFORCE).
    """
    loss_BT = loss_BT * mask_BT
    if average == "tokens":
        return loss_BT.sum() / step.tokens
    if average == "sequences":
        return (loss_BT.sum(dim=1) / mask_BT.sum(dim=1).clamp(min=1)).sum() / step.sequences
    length = step.max_completion_tokens if average == "constant" else 1
    return loss_BT.sum() / (step.sequences * length)


def objective(tokens: Tokens, algorithm: AlgorithmFields, loss: Loss, step: StepSize) -> torch.Tensor:
    """The loss of a micro-batch with all an algorithm adds to it: importance weight, KL term and entropy bonus.

    Raises ValueError for a loss of another shape than (B, T).
    """
    loss_BT = loss(tokens, algorithm)
    if loss_BT.shape != tokens.mask_BT.shape:
        raise ValueError(
            f"`{algorithm.loss}` returned a loss of shape {tuple(loss_BT.shape)}; it has to return one value for each "
            f"token, {tuple(tokens.mask_BT.shape)}"
        )
    if algorithm.importance_cap is not None:
        loss_BT = loss_BT * importance_weight(tokens.old_BT, tokens.engine_BT, algorithm.importance_cap)
    if tokens.reference_BT is not None:
        loss_BT = loss_BT + algorithm.beta * kl_to_reference(tokens.logprobs_BT, tokens.reference_BT)
    total = averaged(loss_BT, tokens.mask_BT, algorithm.average, step)
    if algorithm.entropy_bonus and tokens.entropy_BT is not None:
        total = total - algorithm.entropy_bonus * averaged(tokens.entropy_BT, tokens.mask_BT, "tokens", step)
    return total


def _pessimistic(
    ratio_BT: torch.Tensor, advantages_BT: torch.Tensor, clip_low: float, clip_high: float
) -> torch.Tensor:
    clipped_BT = ratio_BT.clamp(1 - clip_low, 1 + clip_high)
    return -torch.min(ratio_BT * advantages_BT, clipped_BT * advantages_BT)
