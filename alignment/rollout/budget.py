"""The rule of a thinking budget, token by token: when it is spent, and what is written then.

A budget counts the tokens of a think block. When it is spent and `</think>` has not come, the stop text is written in
the policy's place and the answer follows (Qwen3 report, section 4.3). vLLM applies the same rule by its own
thinking_token_budget; here it stands for the transformers engine (ThinkingClock), and for telling what was written
from what the policy drew (forced_tokens). Neighbour: thinking.py, which turns requests into budgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OUTSIDE = -1  # in place of a count of thinking tokens, where no think block is open
OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class ThinkTokens:
    """How a policy's tokenizer writes thinking, and the text that a spent budget writes."""

    open_id: int
    close_id: int
    stop_text: str
    stop_ids: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerBase", stop_text: str) -> "ThinkTokens | None":
        """None for a tokenizer that has no single token for `<think>` or `</think>`."""
        opened, closed, stop = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (OPEN, CLOSE, stop_text)
        )
        return cls(opened[0], closed[0], stop_text, tuple(stop)) if len(opened) == len(closed) == 1 else None


def thinking_so_far(ids: Sequence[int], tokens: ThinkTokens) -> int:
    """Thinking tokens of a think block that these tokens leave open, or OUTSIDE."""
    for back, token in enumerate(reversed(ids)):
        if token == tokens.close_id:
            return OUTSIDE
        if token == tokens.open_id:
            return back
    return OUTSIDE


def forced_tokens(prompt: Sequence[int], drawn: Sequence[int], budget: int, tokens: ThinkTokens) -> list[bool]:
    """Which of the drawn tokens the budget wrote: the stop text wherever a think block had come to its budget."""
    forced, count, written = [], thinking_so_far(prompt, tokens), len(tokens.stop_ids)
    for token in drawn:
        if count >= budget and written == len(tokens.stop_ids):
            written = 0
        forced.append(written < len(tokens.stop_ids))
        written += forced[-1]
        if token == tokens.close_id:
            count = OUTSIDE
        elif count != OUTSIDE or token == tokens.open_id:
            count += 1
    return forced


class ThinkingClock:
    """Budgets of many rows while they are drawn: what is written next, if anything.

    Call `forced` before a token is drawn and `advance` after it, both with the numbers of the rows that get one.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], budgets: Sequence[int | None], tokens: ThinkTokens) -> None:
        self._tokens, self._stop = tokens, torch.tensor(tokens.stop_ids)
        self._counts = torch.tensor([thinking_so_far(ids, tokens) for ids in prompts])
        self._budgets = torch.tensor([torch.iinfo(torch.long).max if one is None else one for one in budgets])
        self._written = torch.full_like(self._counts, len(self._stop))  # of the stop text; all of it while none is due

    def forced(self, rows: torch.Tensor) -> torch.Tensor:
        """The token that is written for each of these rows, or -1 where the policy draws; both of shape (rows,)."""
        spent = (self._counts[rows] >= self._budgets[rows]) & (self._written[rows] == len(self._stop))
        self._written[rows] = torch.where(spent, 0, self._written[rows])
        place = self._written[rows]
        return torch.where(place < len(self._stop), self._stop[place.clamp(max=len(self._stop) - 1)], -1)

    def advance(self, rows: torch.Tensor, tokens: torch.Tensor) -> None:
        """Take in the tokens (rows,) that these rows got, drawn or written."""
        counts = self._counts[rows]
        going = (counts != OUTSIDE) | (tokens == self._tokens.open_id)
        counts = torch.where(going, counts + 1, counts)
        self._counts[rows] = torch.where(tokens == self._tokens.close_id, OUTSIDE, counts)
        self._written[rows] = (self._written[rows] + 1).clamp(max=len(self._stop))
