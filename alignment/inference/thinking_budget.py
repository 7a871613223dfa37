"""The rule of a thinking budget, token by token: when it is spent, and which tokens are forced then.

A budget counts the tokens of a think block. When it is spent and `</think>` has not come, the stop text is forced and
the answer follows (Qwen3 report, arXiv 2505.09388, section 4.3). Every engine follows this rule: vLLM by its own
thinking_token_budget, transformers/clock.py on tensors, serve/budget_processor.py in a server. Neighbours: sampler.py
(the minimum), recipe/blocks/sampling.py (ThinkingBudget in a recipe).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OUTSIDE = -1  # the count of thinking tokens while no think block is open
OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class ThinkTokens:
    """Ids of the think tags in a policy's tokenizer, and the stop text with its ids."""

    open_id: int
    close_id: int
    stop_text: str
    stop_ids: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: "PreTrainedTokenizerBase", stop_text: str) -> "ThinkTokens | None":
        """Read from a tokenizer; None if `<think>` or `</think>` is not a single token of it."""
        opened, closed, stop = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (OPEN, CLOSE, stop_text)
        )
        return cls(opened[0], closed[0], stop_text, tuple(stop)) if len(opened) == len(closed) == 1 else None


class BudgetRule:
    """The rule for one completion: call `forced` before each token, and `advance` with the token after it."""

    def __init__(self, prompt_ids: Sequence[int], budget: int, tokens: ThinkTokens) -> None:
        self._budget, self._tokens = budget, tokens
        self._count = thinking_so_far(prompt_ids, tokens)
        self._written = len(tokens.stop_ids)  # tokens of the stop text written so far; all of them while none is due

    def forced(self) -> int | None:
        """The token to force, or None to let the policy sample."""
        if self._count >= self._budget and self._written == len(self._tokens.stop_ids):
            self._written = 0
        return self._tokens.stop_ids[self._written] if self._written < len(self._tokens.stop_ids) else None

    def advance(self, token: int) -> None:
        """Count a token, sampled or forced."""
        self._written = min(self._written + 1, len(self._tokens.stop_ids))
        if token == self._tokens.close_id:
            self._count = OUTSIDE
        elif self._count != OUTSIDE or token == self._tokens.open_id:
            self._count += 1


def thinking_so_far(ids: Sequence[int], tokens: ThinkTokens) -> int:
    """Thinking tokens of a think block that these tokens leave open, counted from its first `<think>`, or OUTSIDE."""
    opened = OUTSIDE
    for place in range(len(ids) - 1, -1, -1):
        if ids[place] == tokens.close_id:
            break
        if ids[place] == tokens.open_id:
            opened = place
    return OUTSIDE if opened == OUTSIDE else len(ids) - 1 - opened


def forced_tokens(prompt: Sequence[int], sampled: Sequence[int], budget: int, tokens: ThinkTokens) -> list[bool]:
    """For each token after a prompt, whether the budget forced it."""
    if tokens.open_id not in sampled and len(sampled) + max(0, thinking_so_far(prompt, tokens)) <= budget:
        return [False] * len(sampled)  # too short to have spent it
    rule, forced = BudgetRule(prompt, budget, tokens), []
    for token in sampled:
        forced.append(rule.forced() is not None)
        rule.advance(token)
    return forced


def block_start(prompt: Sequence[int], ids: Sequence[int], tokens: ThinkTokens) -> int | None:
    """Index in ids at which the first think block's text begins; negative if the prompt opened it, None without one."""
    so_far = thinking_so_far(prompt, tokens)
    if so_far != OUTSIDE:
        return -so_far
    return ids.index(tokens.open_id) + 1 if tokens.open_id in ids else None


def closed_too_early(prompt: Sequence[int], ids: Sequence[int], least: int, tokens: ThinkTokens) -> int | None:
    """Index of a `</think>` that comes before `least` thinking tokens, or None."""
    start = block_start(prompt, ids, tokens)
    if start is None or tokens.close_id not in ids[max(start, 0) :]:
        return None
    closed = ids.index(tokens.close_id, max(start, 0))
    return closed if closed - start < least else None


def stray_stop_text(prompt: Sequence[int], ids: Sequence[int], budget: int, tokens: ThinkTokens) -> int | None:
    """Index at which an engine forced the stop text into the answer, or None.

    vLLM 0.31 takes only the whole stop text as the end of thinking: after a bare `</think>` it continues to count, and forces
    the stop text when the count reaches the budget.
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
