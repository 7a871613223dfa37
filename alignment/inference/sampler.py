"""Modes and thinking budgets on top of any engine.

The engine ends a think block that has come to its budget (budget.py). Here the written tokens are marked: they carry
no loss and are not the policy's own. A minimum works the other way (s1, arXiv 2501.19393): where the policy closes its
block too early, the wait text is written instead of `</think>` and it thinks on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from alignment.core.errors import EngineError
from alignment.core.vocabulary import Mode
from alignment.inference.engine import Ask, Draw, Engine, SamplingSettings
from alignment.inference.thinking_budget import CLOSE, OPEN, OUTSIDE, ThinkTokens, forced_tokens, thinking_so_far

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

StopReason = Literal["end", "length"]
WAIT_TEXT = "Wait"
MOST_WAITS = 8  # of one completion; each costs a draw of the rows that wait


@dataclass(frozen=True)
class Request:
    """One completion to sample: a rendered prompt, the mode it asks for, and how much it may and must think, in tokens."""

    prompt_ids: list[int]
    mode: Mode
    budget: int | None = None
    minimum: int = 0


@dataclass(frozen=True)
class Completion:
    """What came back. forced marks tokens that were written in the policy's place; their log-probs are 0 and mean nothing."""

    request: Request
    token_ids: list[int]
    logprobs: list[float]
    forced: list[bool]
    stop_reason: StopReason
    text: str
    thinking_tokens: int

    @property
    def forced_tokens(self) -> int:
        return sum(self.forced)


@dataclass
class _Draft:
    """A completion that is being sampled."""

    request: Request
    budget: int | None
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    forced: list[bool] = field(default_factory=list)
    ended: bool = False

    @property
    def ids(self) -> list[int]:
        """The prompt and everything after it."""
        return self.request.prompt_ids + self.token_ids

    def add(self, ids: Sequence[int], logprobs: Sequence[float], forced: Sequence[bool]) -> None:
        self.token_ids += ids
        self.logprobs += [0.0 if written else found for found, written in zip(logprobs, forced, strict=True)]
        self.forced += forced


class Sampler:
    """Samples completions with modes, budgets and minimums from an engine that was started with the same ThinkTokens.

    Raises EngineError if budgets are asked for and the tokenizer has no single `<think>` and `</think>` token, or if
    the stop text does not end the thinking.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: "PreTrainedTokenizerBase",
        max_completion_tokens: int,
        thinking: ThinkTokens | None,
        wait_text: str = WAIT_TEXT,
    ) -> None:
        self.engine, self.tokenizer, self._limit, self._thinking = engine, tokenizer, max_completion_tokens, thinking
        self._wait_ids = list(tokenizer(wait_text, add_special_tokens=False)["input_ids"])

    def sample(self, requests: Sequence[Request], settings: SamplingSettings, seed: int) -> list[Completion]:
        """One completion per request, the same ones for the same weights, requests and seed."""
        drafts = [_Draft(request, self._budget(request)) for request in requests]
        going = list(drafts)
        for turn in range(2 + MOST_WAITS):
            if not going:
                break
            asked = [Ask(draft.ids, self._limit - len(draft.token_ids), draft.budget) for draft in going]
            drawn = self.engine.draw(asked, settings, seed + turn)
            last = turn >= MOST_WAITS
            going = [draft for draft, draw in zip(going, drawn, strict=True) if self._goes_on(draft, draw, last)]
        return [self._completion(draft) for draft in drafts]

    def _budget(self, request: Request) -> int | None:
        """The budget that the engine is told. Raises EngineError where there could be none."""
        if request.mode == "non_thinking" or (request.budget is None and not request.minimum):
            return None
        if self._thinking is None:
            raise EngineError(
                f"a thinking budget needs {OPEN} and {CLOSE} as single tokens, and this tokenizer has none; "
                f"write `add_tokens: [{OPEN}, {CLOSE}]` at the top of the recipe"
            )
        if self._thinking.close_id not in self._thinking.stop_ids:
            raise EngineError(
                f"budget_stop_text {self._thinking.stop_text!r} must hold {CLOSE}, or thinking would never end"
            )
        if request.budget is not None and request.minimum > request.budget:
            raise EngineError(
                f"a minimum of {request.minimum} thinking tokens is above the budget of {request.budget}; lower one"
            )
        return request.budget

    def _goes_on(self, draft: _Draft, draw: Draw, last: bool) -> bool:
        """Take a draw into a draft; whether more is to be drawn for it."""
        ids, ended, goes_on, tokens = draw.token_ids, draw.ended, False, self._thinking
        forced, written = [False] * len(ids), []
        if tokens is not None and draft.budget is not None:
            forced = forced_tokens(draft.ids, ids, draft.budget, tokens)
            cut = _stray(draft.ids, ids, draft.budget, tokens)
            if cut is not None:  # what follows is answer, and is drawn anew without a budget
                ids, ended, goes_on, draft.budget = ids[:cut], False, True, None
        if tokens is not None and draft.request.minimum and draft.request.mode == "thinking" and not last:
            early = _too_early(draft.ids, ids, draft.request.minimum, tokens)
            if early is not None:
                room = self._limit - len(draft.token_ids) - early
                ids, ended, goes_on, written = ids[:early], False, True, self._wait_ids[:room]
                draft.budget = draft.request.budget
        draft.add(ids, draw.logprobs[: len(ids)], forced[: len(ids)])
        draft.add(written, [0.0] * len(written), [True] * len(written))
        draft.ended = ended
        return goes_on and len(draft.token_ids) < self._limit

    def _completion(self, draft: _Draft) -> Completion:
        ids = draft.token_ids
        text = self.tokenizer.decode(ids[:-1] if draft.ended else ids, skip_special_tokens=False)
        reason: StopReason = "end" if draft.ended else "length"
        thinking = self._thinking_tokens(draft.request.prompt_ids, ids)
        return Completion(draft.request, ids, draft.logprobs, draft.forced, reason, text, thinking)

    def _thinking_tokens(self, prompt: list[int], ids: list[int]) -> int:
        """Tokens of the first think block, or to the end where it is never closed; 0 for an empty block."""
        if self._thinking is None:
            return 0
        start = _block_start(prompt, ids, self._thinking)
        if start is None:
            return 0
        first = max(start, 0)
        end = ids.index(self._thinking.close_id, first) if self._thinking.close_id in ids[first:] else len(ids)
        return end - start if self.tokenizer.decode(ids[first:end]).strip() else 0


def _block_start(prompt: Sequence[int], ids: Sequence[int], tokens: ThinkTokens) -> int | None:
    """Where the thinking of the first think block begins, counted from the first of ids; below zero in a prompt that has
    opened it, None where there is no block."""
    so_far = thinking_so_far(prompt, tokens)
    if so_far != OUTSIDE:
        return -so_far
    return ids.index(tokens.open_id) + 1 if tokens.open_id in ids else None


def _stray(prompt: Sequence[int], ids: Sequence[int], budget: int, tokens: ThinkTokens) -> int | None:
    """Where an engine wrote the stop text into the answer, or None.

    vLLM 0.31 takes only the whole stop text for the end of thinking: after a bare `</think>` it counts on, and writes
    the stop text as many tokens after `<think>` as the budget allows.
    """
    start = _block_start(prompt, ids, tokens)
    if start is None:
        return None
    due = start + budget
    stop = list(tokens.stop_ids)
    closed = ids.index(tokens.close_id) if tokens.close_id in ids else len(ids)
    unseen = all(list(ids[at : at + len(stop)]) != stop for at in range(max(0, due - len(stop) + 1)))
    written = list(ids[due : due + len(stop)])
    return due if closed < due and unseen and written and written == stop[: len(written)] else None


def _too_early(prompt: Sequence[int], ids: Sequence[int], minimum: int, tokens: ThinkTokens) -> int | None:
    """Where a think block is closed before the minimum was thought, or None."""
    start = _block_start(prompt, ids, tokens)
    if start is None or tokens.close_id not in ids[max(start, 0) :]:
        return None
    closed = ids.index(tokens.close_id, max(start, 0))
    return closed if closed - start < minimum else None
