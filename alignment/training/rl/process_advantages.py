"""Advantages with credit for steps: papo, pure, grpo_process, vine. Pure functions on tensors, beside advantages.py.

    N groups, G completions of each, T tokens of the longest completion, S steps of the completion with most
    rewards_NG   one reward of each completion; NaN where it could not be judged
    mask_NGT     1 for the tokens that carry loss
    steps        StepRewards: which token belongs to which step, what each step scored, which completions are right

Each returns (N, G, T). A completion whose steps could not be scored gets no process part, and counts in no mean.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from alignment.recipe.blocks.algorithm import PROCESS_ADVANTAGES, AlgorithmFields, Papo, Pure
from alignment.training.rl.advantages import group_normalised, leave_one_out

ProcessAdvantages = Callable[[torch.Tensor, torch.Tensor, "StepRewards", Any], torch.Tensor]


@dataclass(frozen=True)
class StepRewards:
    """What is known of the steps of a batch's completions.

    step_NGT: the index of the step that a token belongs to; -1 for separators, think tags and padding.
    scores_NGS: what each step scored, from 0 to 1; NaN for padding, and for all steps of a completion without scores.
    process_NG: the aggregated score; NaN without. right_NG: 1 where the final answer is right, else 0; NaN if unknown.
    """

    step_NGT: torch.Tensor
    scores_NGS: torch.Tensor
    process_NG: torch.Tensor
    right_NG: torch.Tensor

    def at_tokens(self, values_NGS: torch.Tensor) -> torch.Tensor:
        """(N, G, T): a step's value at each of its tokens, 0 at tokens of no step."""
        found_NGT = values_NGS.nan_to_num(nan=0.0).gather(2, self.step_NGT.clamp(min=0))
        return found_NGT.masked_fill(self.step_NGT < 0, 0.0)


def papo(rewards_NG: torch.Tensor, mask_NGT: torch.Tensor, steps: StepRewards, algorithm: Papo) -> torch.Tensor:
    """A = A_outcome + lambda A_process. PAPO (arXiv 2603.26535): decoupled advantages, the same for all tokens of an answer.

        A_outcome  group-normalised rewards, as in GRPO
        A_process  (p - mean(p)) / (std(p) + 1e-4) over the right completions of the group; 0 for the others, and where
                   fewer than two are right or all their scores are alike

    Up to eight completions and lambda 1 a wrong answer never has a larger advantage than a right one. Beyond, that is not
    a property of the formula, and a right answer's advantage is raised to the largest of the group's wrong ones.
    """
    outcome_NG = group_normalised(rewards_NG, mask_NGT)
    chosen_NG = (steps.right_NG == 1) & ~steps.process_NG.isnan()
    among_right_NG = steps.process_NG.masked_fill(~chosen_NG, torch.nan)
    found_NG = outcome_NG + algorithm.process_weight * group_normalised(among_right_NG, mask_NGT)
    wrong_NG = steps.right_NG == 0
    ceiling_N1 = outcome_NG.masked_fill(~wrong_NG, -torch.inf).amax(dim=1, keepdim=True)
    found_NG = torch.where(chosen_NG, torch.maximum(found_NG, ceiling_N1), found_NG)
    return found_NG[..., None].expand_as(mask_NGT)


def pure(rewards_NG: torch.Tensor, mask_NGT: torch.Tensor, steps: StepRewards, algorithm: Pure) -> torch.Tensor:
    """Min-form credit with a leave-one-out baseline for each token. PURE (arXiv 2504.15275, section 4, and its code).

        r_s  = 2 score_s - 1                         from -1 to 1
        w    = softmax(-r / T)                       over the steps of a completion, so that the worst step has most of it
        r*_s = w_s r_s                               their sum is about the minimum of r
        b_i  = sum of r* over the other completions / number of their tokens in steps
        A_t  = sum over the steps s from t's own to the last of (r*_s - b_i tokens_s)   + weight * leave-one-out reward

    Tokens of no step (separators) get no process part. Without scores a completion gets none and is in no baseline.
    """
    rewards_NGS = 2 * steps.scores_NGS - 1
    known_NGS = ~rewards_NGS.isnan()
    weights_NGS = (-rewards_NGS / algorithm.temperature).masked_fill(~known_NGS, -torch.inf).softmax(dim=2)
    minimum_NGS = (weights_NGS * rewards_NGS).nan_to_num(nan=0.0).masked_fill(~known_NGS, 0.0)
    tokens_NGS = _tokens_of_steps(steps, mask_NGT) * known_NGS
    total_NG, length_NG = minimum_NGS.sum(dim=2), tokens_NGS.sum(dim=2)
    others_NG = total_NG.sum(dim=1, keepdim=True) - total_NG
    baseline_NG = others_NG / (length_NG.sum(dim=1, keepdim=True) - length_NG).clamp(min=1)
    above_NGS = minimum_NGS - baseline_NG[..., None] * tokens_NGS
    process_NGT = steps.at_tokens(_from_here_on(above_NGS))
    return process_NGT + algorithm.outcome_weight * leave_one_out(rewards_NG, mask_NGT)[..., None]


def grpo_process(
    rewards_NG: torch.Tensor, mask_NGT: torch.Tensor, steps: StepRewards, algorithm: AlgorithmFields
) -> torch.Tensor:
    """A_t = sum over the steps from t's own to the last of (score - mean) / (std + 1e-4), mean and std over all steps of the
    group. GRPO with process supervision (DeepSeekMath, arXiv 2402.03300, section 4.1.3).

    It pays for many steps: watch steps_per_answer. Rewards of whole answers play no part.
    """
    groups, _, longest = steps.scores_NGS.shape
    flat_NM = steps.scores_NGS.reshape(groups, -1)
    normalised_NGS = group_normalised(flat_NM, mask_NGT).reshape(groups, -1, longest)
    return steps.at_tokens(_from_here_on(normalised_NGS))


def vine(
    rewards_NG: torch.Tensor, mask_NGT: torch.Tensor, steps: StepRewards, algorithm: AlgorithmFields
) -> torch.Tensor:
    """A_t = V(after t's step) - V(before it), V by Monte Carlo. VinePPO (arXiv 2410.01679, section 4).

    scores_NGS are the values of the prefixes that end with each step, the last one the outcome. V before the first step is
    the fraction of the group that is right.
    """
    start_NG = steps.right_NG.nanmean(dim=1, keepdim=True).expand_as(rewards_NG)
    before_NGS = torch.cat([start_NG[..., None], steps.scores_NGS[..., :-1]], dim=2)
    return steps.at_tokens(steps.scores_NGS - before_NGS)


FUNCTIONS: dict[str, ProcessAdvantages] = {"papo": papo, "pure": pure, "grpo_process": grpo_process, "vine": vine}


def process_advantages_of(algorithm: AlgorithmFields) -> ProcessAdvantages | None:
    """The function of an algorithm with credit for steps; None for one without."""
    return FUNCTIONS[algorithm.advantages] if algorithm.advantages in PROCESS_ADVANTAGES else None


def _tokens_of_steps(steps: StepRewards, mask_NGT: torch.Tensor) -> torch.Tensor:
    """How many tokens with loss each step has, (N, G, S)."""
    inside_NGT = (steps.step_NGT >= 0) * mask_NGT.to(steps.scores_NGS.dtype)
    counts_NGS = torch.zeros_like(steps.scores_NGS)
    return counts_NGS.scatter_add(2, steps.step_NGT.clamp(min=0), inside_NGT)


def _from_here_on(values_NGS: torch.Tensor) -> torch.Tensor:
    """The sum of each step's value and those after it."""
    return values_NGS.nan_to_num(nan=0.0).flip(2).cumsum(dim=2).flip(2)
