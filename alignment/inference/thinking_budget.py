"""The rule of a thinking budget, token by token: when it is spent, and what is written then.

A budget counts the tokens of a think block. When it is spent and `</think>` has not come, the stop text is written in
the policy's place and the answer follows (Qwen3 report, section 4.3). vLLM applies the same rule by its own
thinking_token_budget; here it stands for the transformers engine (transformers/clock.py), and for telling what was written
from what the policy drew (forced_tokens). Neighbour: thinking.py, which turns requests into budgets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
