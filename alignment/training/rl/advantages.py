"""Advantages: how much better each completion is than the others of its group. Pure functions on tensors.

    N groups, G completions of each, T tokens of the longest completion
    rewards_NG   one reward of each completion; NaN where it could not be judged
    mask_NGT     1 for the tokens that carry loss

Each returns (N, G), one advantage for all tokens of a completion, or (N, G, T), one for each token. A completion
without a known reward has advantage 0 and is left out of its group's mean and deviation. A group whose known rewards
are all equal has advantages of exactly 0, so that its rows need not be computed on. Neighbours: losses.py, trainer.py.
"""

from collections.abc import Callable

import torch

from alignment.recipe.blocks.algorithm import AlgorithmFields
from alignment.recipe.own.function import named_function

Advantages = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
EPSILON = 1e-4  # added to a group's deviation; TRL's own


def group_centred(rewards_NG: torch.Tensor, mask_NGT: torch.Tensor) -> torch.Tensor:
    """A_i = r_i - mean(r). Dr. GRPO (arXiv 2503.20783, section 3.2): no division by the group's deviation.

    Dividing by it weighs questions that are nearly always or nearly never solved above the others.
    """
    centred_NG = rewards_NG - rewards_NG.nanmean(dim=1, keepdim=True)
    return centred_NG.nan_to_num(nan=0.0).masked_fill(~has_signal(rewards_NG)[:, None], 0.0)


def group_normalised(rewards_NG: torch.Tensor, mask_NGT: torch.Tensor) -> torch.Tensor:
    """A_i = (r_i - mean(r)) / (std(r) + 1e-4). GRPO (arXiv 2402.03300, section 4.1.2, outcome supervision).

    The deviation is the unbiased one (divided by the number of known rewards less one), as in TRL.
    """
    centred_NG = group_centred(rewards_NG, mask_NGT)
    known_NG = ~rewards_NG.isnan()
    degrees_N1 = (known_NG.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    deviation_N1 = (centred_NG.square().sum(dim=1, keepdim=True) / degrees_N1).sqrt()
    return centred_NG / (deviation_N1 + EPSILON)


def leave_one_out(rewards_NG: torch.Tensor, mask_NGT: torch.Tensor) -> torch.Tensor:
    """A_i = r_i - mean of the other rewards of the group. RLOO (arXiv 2402.14740, its REINFORCE Leave-One-Out
    estimator).

    Equal to K / (K - 1) times the centred reward, K being the number of known rewards of the group.
    """
    known_N1 = (~rewards_NG.isnan()).sum(dim=1, keepdim=True)
    return group_centred(rewards_NG, mask_NGT) * known_N1 / (known_N1 - 1).clamp(min=1)


def normalise_then_sum(scores_NGV: torch.Tensor, weights_V: torch.Tensor, mask_NGT: torch.Tensor) -> torch.Tensor:
    """A_i = S_i / std(S), S_i = sum of w_v (r_iv - mean(r_v)) / (std(r_v) + 1e-4). GDPO (arXiv 2601.05242).

    Each of V scores is normalised within its group before they are added up by weight, so that all count alike whatever their
    scales; the sum is divided by its deviation over all completions of the step, whose mean is 0. scores_NGV is NaN where the
    total is not known.
    """
    parts = [group_normalised(scores_NGV[..., part], mask_NGT) for part in range(scores_NGV.shape[-1])]
    sums_NG = (torch.stack(parts, dim=-1) * weights_V).sum(dim=-1)
    known = sums_NG[~scores_NGV.isnan().any(dim=-1)]
    return sums_NG / (known.std() + EPSILON) if len(known) > 1 else sums_NG


def has_signal(rewards_NG: torch.Tensor) -> torch.Tensor:
    """Whether the known rewards of each group differ, (N,). Rewards are compared as they are, not their deviation."""
    unknown_NG = rewards_NG.isnan()
    most_N = rewards_NG.masked_fill(unknown_NG, -torch.inf).amax(dim=1)
    return most_N > rewards_NG.masked_fill(unknown_NG, torch.inf).amin(dim=1)


ADVANTAGES: dict[str, Advantages] = {
    "group_normalised": group_normalised,
    "group_centred": group_centred,
    "leave_one_out": leave_one_out,
}


def advantages_of(algorithm: AlgorithmFields) -> Advantages:
    """The function an algorithm names: one of these, or the user's own. Raises RecipeError."""
    if algorithm.advantages in ADVANTAGES:
        return ADVANTAGES[algorithm.advantages]
    return named_function(algorithm.advantages, ("rewards_NG", "mask_NGT"))
