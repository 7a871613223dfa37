"""Sampler: decoded text and a minimum of thinking tokens on top of any engine.

The engine enforces the upper limit of a thinking budget (thinking_budget.py). The lower limit works the other way (s1, arXiv
2501.19393): if the policy closes its block too early, the wait text replaces `</think>` and it continues to think. Forced
tokens are marked and carry no loss. Neighbours: engine.py (Engine), start.py (starts one).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from alignment.core.errors import EngineError
from alignment.inference.engine import (
    Engine,
    Generation,
    GenerationRequest,
    SamplingSettings,
    in_order,
    request_seed,
    spans_joined,
)
from alignment.inference.thinking_budget import (
    CLOSE,
    OPEN,
    ThinkTokens,
    block_start,
    closed_too_early,
    stray_stop_text,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_WAITS = 8  # per completion; each is another round of sampling for that row
BLANK_TOKENS = 8  # of a think block that are looked at first, to tell whether it is empty


class Sampler:
    """Samples with modes and thinking budgets from an engine that was started with the same ThinkTokens.

    Its methods raise EngineError for a budget if the tokenizer has no single `<think>` and `</think>` tokens, or if the
    stop text is not the engine's or does not end the thinking.
    """

    def __init__(self, engine: Engine, tokenizer: "PreTrainedTokenizerBase", thinking: ThinkTokens | None) -> None:
        self.engine, self.tokenizer, self._thinking = engine, tokenizer, thinking

    def sample(self, requests: Sequence[GenerationRequest], settings: SamplingSettings) -> list[Generation]:
        """One generation per request, in order; the same for the same weights, requests and settings."""
        return in_order(self.generate(requests, settings))

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """Yield `(index of the request, its generation)`, each as it finishes."""
        if not requests:  # engines refuse an empty batch
            return
        for request in requests:
            self._check(request)
        asked, begun = list(enumerate(requests)), dict[int, Generation]()
        for round_ in range(2 + MAX_WAITS):
            following: list[tuple[int, GenerationRequest]] = []
            for place, made in self.engine.generate([request for _, request in asked], settings):
                index = asked[place][0]
                made, more = self._continued(made, requests[index], round_)
                whole = joined(begun[index], made) if index in begun else made
                if more is None:
                    yield index, self.finished(whole)
                else:
                    begun[index] = whole
                    following.append((index, more))
            if not following:
                return
            asked = following

    def _check(self, request: GenerationRequest) -> None:
        """Raise EngineError for a budget that cannot be enforced."""
        budget = request.budget
        if request.mode == "non_thinking" or budget is None or not budget.bounds_thinking:
            return
        if self._thinking is None:
            raise EngineError(
                f"a thinking budget needs {OPEN} and {CLOSE} as single tokens, and this tokenizer has none; "
                f"write `add_tokens: [{OPEN}, {CLOSE}]` at the top of the recipe"
            )
        if self._thinking.close_id not in self._thinking.stop_ids:
            raise EngineError(
                f"thinking_budget.stop_text {self._thinking.stop_text!r} has no {CLOSE}, so thinking would never end; add it"
            )
        if budget.most is None:
            return
        if budget.stop_text != self._thinking.stop_text:
            raise EngineError(
                f"the engine was started with the stop text {self._thinking.stop_text!r}, and a request asks for "
                f"{budget.stop_text!r}; start an engine for each stop text"
            )
        if budget.least > budget.most:
            raise EngineError(
                f"a minimum of {budget.least} thinking tokens is above the budget of {budget.most}; lower one"
            )

    def _continued(
        self, made: Generation, original: GenerationRequest, round_: int
    ) -> tuple[Generation, GenerationRequest | None]:
        """What is kept of a round's generation, and the request that continues it, or None."""
        asked, tokens = made.request, self._thinking
        if tokens is None:
            return made, None
        keep, budget, written, goes_on = len(made.token_ids), asked.budget, list[int](), False
        if asked.most_thinking is not None:
            cut = stray_stop_text(asked.prompt_ids, made.token_ids, asked.most_thinking, tokens)
            if cut is not None:  # the rest is answer, and is sampled again without a budget
                keep, budget, goes_on = cut, None, True
        if original.least_thinking and round_ < MAX_WAITS:
            early = closed_too_early(asked.prompt_ids, made.token_ids[:keep], original.least_thinking, tokens)
            if early is not None and original.budget is not None:
                keep, budget, goes_on = early, original.budget, True
                written = self._tokenized(original.budget.wait_text)[: asked.max_tokens - keep]
        if not goes_on:
            return made, None
        kept = replace(
            made,
            token_ids=made.token_ids[:keep] + written,
            logprobs=made.logprobs[:keep] + [0.0] * len(written),
            forced=made.forced[:keep] + [True] * len(written),
            stop_reason="length",
            versions=tuple(span for span in made.versions if span[0] < max(1, keep)),
        )
        room = asked.max_tokens - len(kept.token_ids)
        seed = request_seed(original.seed, round_ + 1)
        more = replace(asked, prompt_ids=asked.prompt_ids + kept.token_ids, budget=budget, max_tokens=room, seed=seed)
        return kept, more if room > 0 else None

    def finished(self, made: Generation) -> Generation:
        """A whole generation with its text and the number of its thinking tokens."""
        ids = made.token_ids[:-1] if made.stop_reason == "end" else made.token_ids
        text = self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        thinking = self._thinking_tokens(made.request.prompt_ids, made.token_ids)
        most = made.request.most_thinking  # what is in the block beyond it is of the stop text
        return replace(made, text=text, thinking_tokens=thinking if most is None else min(thinking, most))

    def _thinking_tokens(self, prompt: list[int], ids: list[int]) -> int:
        """Number of tokens in the first think block, or to the end if it is never closed; 0 for an empty block."""
        if self._thinking is None:
            return 0
        start = block_start(prompt, ids, self._thinking)
        if start is None:
            return 0
        first = max(start, 0)
        end = ids.index(self._thinking.close_id, first) if self._thinking.close_id in ids[first:] else len(ids)
        begun = ids[first : min(end, first + BLANK_TOKENS)]  # decoding all of a long block only tells the same
        text = self.tokenizer.decode(begun).strip() or self.tokenizer.decode(ids[first:end]).strip()
        return end - start if text else 0

    def _tokenized(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


def joined(first: Generation, more: Generation) -> Generation:
    """A generation and its continuation as one, for the first one's request."""
    return Generation(
        request=first.request,
        token_ids=first.token_ids + more.token_ids,
        logprobs=first.logprobs + more.logprobs,
        forced=first.forced + more.forced,
        stop_reason=more.stop_reason,
        versions=spans_joined(first.versions, len(first.token_ids), more.versions),
    )
