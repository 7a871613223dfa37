"""The rule of a thinking budget, token by token: when it is spent, and what is written then.

A budget counts the tokens of a think block. When it is spent and `</think>` has not come, the stop text is written in
the policy's place and the answer follows (Qwen3 report, section 4.3). Every engine keeps this one rule: vLLM by its own
thinking_token_budget, transformers/clock.py on tensors, serve/budget_processor.py inside a server. Neighbours:
sampler.py (the minimum), recipe/sampling.py (ThinkingBudget, what a person writes).
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


class BudgetRule:
    """The rule itself, for one completion: ask `forced` before each token, then tell it the token by `advance`."""

    def __init__(self, prompt_ids: Sequence[int], budget: int, tokens: ThinkTokens) -> None:
        self._budget, self._tokens = budget, tokens
        self._count = thinking_so_far(prompt_ids, tokens)
        self._written = len(tokens.stop_ids)  # of the stop text; all of it while none is due

    def forced(self) -> int | None:
        """The token that is written in the policy's place, or None where the policy samples."""
        if self._count >= self._budget and self._written == len(self._tokens.stop_ids):
            self._written = 0
        return self._tokens.stop_ids[self._written] if self._written < len(self._tokens.stop_ids) else None

    def advance(self, token: int) -> None:
        """Take in the token that came, sampled or written."""
        self._written = min(self._written + 1, len(self._tokens.stop_ids))
        if token == self._tokens.close_id:
            self._count = OUTSIDE
        elif self._count != OUTSIDE or token == self._tokens.open_id:
            self._count += 1


def thinking_so_far(ids: Sequence[int], tokens: ThinkTokens) -> int:
    """Thinking tokens of a think block that these tokens leave open, or OUTSIDE."""
    for back, token in enumerate(reversed(ids)):
        if token == tokens.close_id:
            return OUTSIDE
        if token == tokens.open_id:
            return back
    return OUTSIDE


def forced_tokens(prompt: Sequence[int], sampled: Sequence[int], budget: int, tokens: ThinkTokens) -> list[bool]:
    """Which of the tokens after a prompt the budget wrote: the stop text wherever a think block had come to it."""
    rule, forced = BudgetRule(prompt, budget, tokens), []
    for token in sampled:
        forced.append(rule.forced() is not None)
        rule.advance(token)
    return forced


def block_start(prompt: Sequence[int], ids: Sequence[int], tokens: ThinkTokens) -> int | None:
    """Where the thinking of the first think block begins, counted from the first of ids; below zero in a prompt that has
    opened it, None where there is no block."""
    so_far = thinking_so_far(prompt, tokens)
    if so_far != OUTSIDE:
        return -so_far
    return ids.index(tokens.open_id) + 1 if tokens.open_id in ids else None


def closed_too_early(prompt: Sequence[int], ids: Sequence[int], least: int, tokens: ThinkTokens) -> int | None:
    """Where a think block is closed before `least` tokens were thought, or None."""
    start = block_start(prompt, ids, tokens)
    if start is None or tokens.close_id not in ids[max(start, 0) :]:
        return None
    closed = ids.index(tokens.close_id, max(start, 0))
    return closed if closed - start < least else None


def stray_stop_text(prompt: Sequence[int], ids: Sequence[int], budget: int, tokens: ThinkTokens) -> int | None:
    """Where an engine wrote the stop text into the answer, or None.

    vLLM 0.31 takes only the whole stop text for the end of thinking: after a bare `</think>` it counts on, and writes
    the stop text as many tokens after `<think>` as the budget allows.
    """
    start = block_start(prompt, ids, tokens)
    if start is None:
        return None
    due = start + budget
    stop = list(tokens.stop_ids)
    closed = ids.index(tokens.close_id) if tokens.close_id in ids else len(ids)
    unseen = all(list(ids[at : at + len(stop)]) != stop for at in range(max(0, due - len(stop) + 1)))
    written = list(ids[due : due + len(stop)])
    return due if closed < due and unseen and written and written == stop[: len(written)] else None
