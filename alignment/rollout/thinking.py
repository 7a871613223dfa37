"""Modes and thinking budgets on top of any engine.

A budget counts the tokens after `<think>`. When it is spent and `</think>` has not come, the stop text is written in
the policy's place and the answer follows (Qwen3 report, section 4.3; the words are a setting). Written tokens are
marked as forced: they carry no loss and are not the policy's own. Done in two draws, so that every engine gives the
same tokens, and a rollout without a budget costs one draw.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from alignment.data.rows import Mode
from alignment.errors import EngineError
from alignment.rollout.engine import Draw, Engine, SamplingSettings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

StopReason = Literal["end", "length"]


@dataclass(frozen=True)
class Request:
    """One completion to sample: a rendered prompt, the mode it asks for, and a thinking budget or None."""

    prompt_ids: list[int]
    mode: Mode
    budget: int | None = None


@dataclass(frozen=True)
class Completion:
    """What came back. forced marks tokens that the budget wrote; their log-probs are 0 and mean nothing."""

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


class Sampler:
    """Samples completions with modes and budgets from an engine.

    Raises EngineError if budgets are asked for and the tokenizer has no single `<think>` and `</think>` token, or if
    the stop text does not end the thinking.
    """

    def __init__(
        self, engine: Engine, tokenizer: "PreTrainedTokenizerBase", max_completion_tokens: int, budget_stop_text: str
    ) -> None:
        self.engine, self.tokenizer, self._limit = engine, tokenizer, max_completion_tokens
        self._open = _single_token(tokenizer, "<think>")
        self._close = _single_token(tokenizer, "</think>")
        self._stop_text = budget_stop_text
        self._stop_ids = list(tokenizer(budget_stop_text, add_special_tokens=False)["input_ids"])

    def sample(self, requests: Sequence[Request], settings: SamplingSettings, seed: int) -> list[Completion]:
        """One completion per request, the same ones for the same weights, requests and seed."""
        first_limits = [self._first_limit(request) for request in requests]
        firsts = self.engine.draw([request.prompt_ids for request in requests], first_limits, settings, seed)
        drafts = [self._after_first(request, draw) for request, draw in zip(requests, firsts, strict=True)]
        open_ends = [
            index for index, draft in enumerate(drafts) if not draft.ended and len(draft.token_ids) < self._limit
        ]
        seconds = self.engine.draw(
            [requests[index].prompt_ids + drafts[index].token_ids for index in open_ends],
            [self._limit - len(drafts[index].token_ids) for index in open_ends],
            settings,
            seed + 1,
        ) if open_ends else []  # fmt: skip
        own = {index: len(draft.token_ids) for index, draft in enumerate(drafts)}
        for index, second in zip(open_ends, seconds, strict=True):
            first = drafts[index]
            drafts[index] = Draw(first.token_ids + second.token_ids, first.logprobs + second.logprobs, second.ended)
        return [
            self._completion(request, draft, len(first.token_ids), own[index])
            for index, (request, draft, first) in enumerate(zip(requests, drafts, firsts, strict=True))
        ]

    def _first_limit(self, request: Request) -> int:
        if request.budget is None or request.mode == "non_thinking":
            return self._limit
        if self._open is None or self._close is None:
            raise EngineError(
                "a thinking budget needs <think> and </think> as single tokens, and this tokenizer has none; "
                "write `add_tokens: [<think>, </think>]` at the top of the recipe"
            )
        if self._close not in self._stop_ids:
            raise EngineError(f"budget_stop_text {self._stop_text!r} must hold </think>, or thinking would never end")
        return min(self._limit, request.budget + 1)  # the opening token is not thinking

    def _after_first(self, request: Request, draw: Draw) -> Draw:
        """The first draw, with the stop text written after it where the budget ran out inside the think block."""
        ids = draw.token_ids
        spent = request.budget is not None and request.mode == "thinking" and not draw.ended
        if not spent or self._open not in ids or self._close in ids:
            return draw
        written = self._stop_ids[: max(0, self._limit - len(ids))]
        return Draw(ids + written, draw.logprobs + [0.0] * len(written), False)

    def _completion(self, request: Request, draft: Draw, drawn: int, with_forced: int) -> Completion:
        ids = draft.token_ids
        forced = [drawn <= position < with_forced for position in range(len(ids))]
        kept = ids[:-1] if draft.ended else ids
        text = self.tokenizer.decode(kept, skip_special_tokens=False)
        thinking = self._thinking_tokens(ids)
        return Completion(request, ids, draft.logprobs, forced, "end" if draft.ended else "length", text, thinking)

    def _thinking_tokens(self, ids: list[int]) -> int:
        """Tokens between the think tags, or to the end where the block is never closed; 0 for an empty block."""
        if self._open is None or self._open not in ids:
            return 0
        start = ids.index(self._open) + 1
        end = ids.index(self._close, start) if self._close in ids[start:] else len(ids)
        inside = self.tokenizer.decode(ids[start:end])
        return end - start if inside.strip() else 0


def _single_token(tokenizer: "PreTrainedTokenizerBase", text: str) -> int | None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids[0] if len(ids) == 1 else None
