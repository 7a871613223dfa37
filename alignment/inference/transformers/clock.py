"""The rule of a thinking budget for many rows at once, on tensors.

It is the rule of BudgetRule in ../thinking_budget.py; a test compares them. Neighbours: decoding.py and generate.py.
"""

from collections.abc import Sequence

import torch

from alignment.inference.thinking_budget import OUTSIDE, ThinkTokens, thinking_so_far


class ThinkingClock:
    """The thinking budgets of many rows.

    Call `forced` before a token is sampled and `advance` after it, both with the indices of the rows that get one.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], budgets: Sequence[int | None], tokens: ThinkTokens) -> None:
        self._tokens, self._stop = tokens, torch.tensor(tokens.stop_ids)
        self._counts = torch.tensor([thinking_so_far(ids, tokens) for ids in prompts])
        self._budgets = torch.tensor([torch.iinfo(torch.long).max if one is None else one for one in budgets])
        self._written = torch.full_like(
            self._counts, len(self._stop)
        )  # tokens of the stop text written so far; all of them while none is due

    def forced(self, rows: torch.Tensor) -> torch.Tensor:
        """The token to force in each of these rows, or -1 to let the policy sample; both of shape (rows,)."""
        spent = (self._counts[rows] >= self._budgets[rows]) & (self._written[rows] == len(self._stop))
        self._written[rows] = torch.where(spent, 0, self._written[rows])
        place = self._written[rows]
        return torch.where(place < len(self._stop), self._stop[place.clamp(max=len(self._stop) - 1)], -1)

    def advance(self, rows: torch.Tensor, tokens: torch.Tensor) -> None:
        """Count the tokens (rows,) of these rows, sampled or forced."""
        counts = self._counts[rows]
        going = (counts != OUTSIDE) | (tokens == self._tokens.open_id)
        counts = torch.where(going, counts + 1, counts)
        self._counts[rows] = torch.where(tokens == self._tokens.close_id, OUTSIDE, counts)
        self._written[rows] = (self._written[rows] + 1).clamp(max=len(self._stop))
