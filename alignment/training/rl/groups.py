"""Values of all ranks' rows, in groups: a group may lie on two ranks, and its advantages need all of it.

Neighbours: trainer.py (asks), advantages.py and process_advantages.py (compute on what is gathered).
"""

import math
from collections.abc import Sequence

import torch
from accelerate import Accelerator

from alignment.core.errors import RecipeError
from alignment.training.rl.batch import RewardParts, RowSteps
from alignment.training.rl.process_advantages import StepRewards


class Groups:
    """Gathers values of rows over ranks, in float64, in which equal rewards stay equal. Every method is collective.

    generations: completions of a group, G.
    """

    def __init__(self, accelerator: Accelerator, generations: int) -> None:
        self._accelerator, self._generations = accelerator, generations

    def everywhere(self, values: Sequence[float] | Sequence[Sequence[float]]) -> torch.Tensor:
        """Values of all ranks, in their order."""
        found = torch.tensor(values, dtype=torch.float64, device=self._accelerator.device)
        gathered: torch.Tensor = self._accelerator.gather(found)
        return gathered

    def split(self, values_B: torch.Tensor) -> torch.Tensor:
        """All ranks' rows, (B, ...), as groups: (N, G, ...)."""
        return values_B.unflatten(0, (-1, self._generations))

    def mask(self, loss_mask_BC: torch.Tensor) -> torch.Tensor:
        """This rank's loss mask as that of all groups, (N, G, T)."""
        return self.split(self._accelerator.gather(self._accelerator.pad_across_processes(loss_mask_BC, dim=1)))

    def own(self, found_NGT: torch.Tensor, loss_mask_BC: torch.Tensor) -> torch.Tensor:
        """What of all groups is of this rank's rows, (B, C)."""
        rows, longest = loss_mask_BC.shape
        first = self._accelerator.process_index * rows
        return found_NGT.flatten(0, 1)[first : first + rows, :longest].to(loss_mask_BC.dtype).contiguous()

    def parts(self, parts: RewardParts | None, rewards_NG: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The scores that rewards are made of, (N, G, V), NaN where the reward is not known, and their weights, (V,)."""
        if parts is None:
            raise RecipeError("`aggregation: normalise_then_sum` needs rollouts with the parts of their rewards")
        scores_NGV = self.split(self.everywhere(parts.scores)).masked_fill(rewards_NG.isnan()[..., None], math.nan)
        return scores_NGV, torch.tensor(parts.weights, dtype=torch.float64, device=scores_NGV.device)

    def steps(self, steps: Sequence[RowSteps], longest: int) -> StepRewards:
        """The steps of all rows. longest: tokens of the longest completion, T."""
        most = int(self.everywhere([max((len(row.scores) for row in steps), default=1), 1]).max())
        of_token = [[*row.of_token, *[-1] * (longest - len(row.of_token))] for row in steps]
        scores = [[*row.scores, *[math.nan] * (most - len(row.scores))] for row in steps]
        process = [math.nan if row.process is None else row.process for row in steps]
        right = [math.nan if row.right is None else float(row.right) for row in steps]
        return StepRewards(
            step_NGT=self.split(self.everywhere(of_token)).long(),
            scores_NGS=self.split(self.everywhere(scores)),
            process_NG=self.split(self.everywhere(process)),
            right_NG=self.split(self.everywhere(right)),
        )
