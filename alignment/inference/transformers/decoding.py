"""Draws tokens from a transformers model, many rows at once, each row leaving as soon as it has ended.

`transformers.generate` goes on with all rows until the longest has ended, pads every prompt to the longest, and copies
its whole cache for each token. Ragged rollouts spend most of their time on rows that are over. Here rows sit in slots
(inference/attention/slots.py): prompts that are the same are read once for all their rows, ended rows make room for waiting ones, and
log-probs come from the very logits that were drawn from.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from transformers import PreTrainedModel

from alignment.inference.attention.slots import SlotCache, token_bytes
from alignment.inference.engine import Ask, Draw, EngineSettings, SamplingSettings
from alignment.inference.transformers.clock import ThinkingClock

CACHE_BYTES = 2 << 30  # for keys and values: as many rows at once as fit
PASS_TOKENS = 8192  # of prompts, in one forward pass
LOGITS = 1 << 28  # kept at once while tokens are scored


def draw(
    model: PreTrainedModel, asked: Sequence[Ask], engine: EngineSettings, sampling: SamplingSettings, seed: int
) -> list[Draw]:
    """One draw for each, as the Engine protocol says; the model attends by slots.

    Each token of each row has a random number of its own, so that what a row draws does not depend on which rows share
    its batch.
    """
    longest = max(one.most_tokens for one in asked)
    uniforms = torch.rand(len(asked), longest, generator=torch.Generator().manual_seed(seed))
    decoder = Decoder(model, asked, engine)
    decoder.run(sampling, uniforms)
    counts = decoder.counts.tolist()
    return [
        Draw(ids[:count], logprobs[:count], ended)
        for ids, logprobs, count, ended in zip(
            decoder.drawn.tolist(), decoder.logprobs.tolist(), counts, decoder.ended.tolist(), strict=True
        )
    ]


def logprobs(model: PreTrainedModel, sequences: Sequence[list[int]]) -> list[list[float]]:
    """The log-prob of every token but the first, given those before it."""
    found: list[list[float]] = []
    most = min(PASS_TOKENS, LOGITS // model.config.vocab_size)
    for chunk in _chunks([tuple(ids) for ids in sequences], most):
        logits_TV = _packed_pass(model, chunk).logits[0].float()
        ids_T = torch.tensor([token for ids in chunk for token in ids], device=model.device)
        picked_T = logits_TV[:-1].gather(-1, ids_T[1:, None])[:, 0] - logits_TV[:-1].logsumexp(-1)
        ends = list(accumulate(len(ids) for ids in chunk))
        found += [picked_T[end - len(ids) : end - 1].tolist() for ids, end in zip(chunk, ends, strict=True)]
    return found


class Decoder:
    """The rows of one draw: drawn and logprobs (rows, longest), counts and ended (rows,), all on the CPU."""

    def __init__(self, model: PreTrainedModel, asked: Sequence[Ask], engine: EngineSettings) -> None:
        self._model, self._device, self._most_rows = model, model.device, engine.max_sequences
        self._prompts = [tuple(one.prompt) for one in asked]
        self._limits = torch.tensor([one.most_tokens for one in asked])
        self._lengths = torch.tensor([len(prompt) for prompt in self._prompts])
        self._stops = torch.tensor(list(engine.stop_ids))
        budgets = [one.budget for one in asked]
        self._clock: ThinkingClock | None = None
        if engine.thinking is not None and any(budget is not None for budget in budgets):
            self._clock = ThinkingClock(self._prompts, budgets, engine.thinking)
        shape = (len(asked), int(self._limits.max()))
        self.drawn, self.logprobs = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
        self.counts = torch.zeros(len(asked), dtype=torch.long)
        self.ended = torch.zeros(len(asked), dtype=torch.bool)

    def run(self, sampling: SamplingSettings, uniforms: torch.Tensor) -> None:
        """Draw every row to its end. uniforms: (rows, longest) numbers in [0, 1), one for each token."""
        capacity = int((self._lengths + self._limits).max())
        weight = next(self._model.parameters())
        fitting = max(1, CACHE_BYTES // (token_bytes(self._model.config, weight.dtype) * capacity))
        cache = SlotCache(self._model.config, min(self._most_rows, fitting, len(self._prompts)), capacity, weight)
        waiting = list(range(len(self._prompts)))
        rows = torch.empty(0, dtype=torch.long)  # of each used slot
        while waiting or len(rows):
            free = cache.slots - len(rows)
            if waiting and free >= min(len(waiting), max(1, cache.slots // 4)):
                joining, waiting = waiting[:free], waiting[free:]
                logits_NV = self._prefill(cache, joining, len(rows))
                joined = torch.tensor(joining)
                self._choose(joined, logits_NV, sampling, uniforms)
                rows = torch.cat([rows, joined])
            else:
                self._choose(rows, self._step(cache, rows), sampling, uniforms)
            rows = self._without_ended(cache, rows)

    def _prefill(self, cache: SlotCache, joining: Sequence[int], first_slot: int) -> torch.Tensor:
        """Read the prompts of rows that take the slots from first_slot on; returns their next logits (rows, V)."""
        slots_of: dict[tuple[int, ...], list[int]] = {}
        for place, row in enumerate(joining):
            slots_of.setdefault(self._prompts[row], []).append(first_slot + place)
        logits: list[torch.Tensor] = []
        order: list[int] = []
        for chunk in _chunks(list(slots_of), PASS_TOKENS):
            to, source, start = [], [], 0
            for ids in chunk:
                for slot in slots_of[ids]:
                    to.append(torch.arange(len(ids)) + slot * cache.capacity)
                    source.append(torch.arange(len(ids)) + start)
                start += len(ids)
            cache.place(torch.cat(to).to(self._device), torch.cat(source).to(self._device))
            logits_NV = _packed_pass(self._model, chunk, cache).logits[0].float()
            logits.append(logits_NV.repeat_interleave(torch.tensor([len(slots_of[ids]) for ids in chunk]), dim=0))
            order += [slot - first_slot for ids in chunk for slot in slots_of[ids]]
        return torch.cat(logits)[torch.tensor(order).argsort()]

    def _step(self, cache: SlotCache, rows: torch.Tensor) -> torch.Tensor:
        """The logits (rows, V) that follow each row's last token."""
        positions_N = self._lengths[rows] + self.counts[rows] - 1
        last_N = self.drawn[rows, self.counts[rows] - 1]
        length = int(positions_N.max()) + 1
        places_N = torch.arange(len(rows)) * cache.capacity + positions_N
        cache.place(places_N.to(self._device), attended=len(rows), length=length)
        seen_NT = torch.arange(length)[None] <= positions_N[:, None]
        found = self._model(
            input_ids=last_N[:, None].to(self._device),
            position_ids=positions_N[:, None].to(self._device),
            attention_mask=seen_NT[:, None, None].to(self._device),
            past_key_values=cache,
            use_cache=True,
        )
        return found.logits[:, -1].float()

    def _choose(
        self, rows: torch.Tensor, logits_NV: torch.Tensor, sampling: SamplingSettings, uniforms: torch.Tensor
    ) -> None:
        at_N = self.counts[rows]
        chosen_N = choose(logits_NV, sampling, uniforms[rows, at_N].to(logits_NV.device))
        logprob_N = (logits_NV.gather(-1, chosen_N[:, None])[:, 0] - logits_NV.logsumexp(-1)).cpu()
        chosen_N = chosen_N.cpu()
        if self._clock is not None:
            forced_N = self._clock.forced(rows)
            chosen_N = torch.where(forced_N >= 0, forced_N, chosen_N)
            logprob_N = torch.where(forced_N >= 0, 0.0, logprob_N)
            self._clock.advance(rows, chosen_N)
        self.drawn[rows, at_N], self.logprobs[rows, at_N] = chosen_N, logprob_N
        self.counts[rows] = at_N + 1
        self.ended[rows] = torch.isin(chosen_N, self._stops)

    def _without_ended(self, cache: SlotCache, rows: torch.Tensor) -> torch.Tensor:
        """The rows that go on, in the first slots: the last ones take the places of those that have ended."""
        over = self.ended[rows] | (self.counts[rows] >= self._limits[rows])
        if not over.any():
            return rows
        left = int((~over).sum())
        holes, last = over[:left].nonzero()[:, 0], (~over[left:]).nonzero()[:, 0] + left
        if len(holes):
            length = int((self._lengths[rows[last]] + self.counts[rows[last]]).max())
            cache.move(last.to(self._device), holes.to(self._device), length)
            rows = rows.clone()
            rows[holes] = rows[last]
        return rows[:left]


def choose(logits_NV: torch.Tensor, sampling: SamplingSettings, uniform_N: torch.Tensor) -> torch.Tensor:
    """One token per row: the likeliest at temperature 0, else the one at which the cumulated probability passes the
    row's uniform number. Keeps top_k, then top_p, of the tempered distribution, as vLLM does."""
    if sampling.temperature == 0:
        return logits_NV.argmax(-1)
    logits_NV = logits_NV / sampling.temperature
    if 0 < sampling.top_k < logits_NV.shape[-1]:
        smallest = logits_NV.topk(sampling.top_k).values[:, -1:]
        logits_NV = logits_NV.masked_fill(logits_NV < smallest, -torch.inf)
    probability_NV = logits_NV.softmax(-1)
    if sampling.top_p < 1:
        ordered_NV, order_NV = probability_NV.sort(descending=True)
        before_NV = ordered_NV.cumsum(-1) - ordered_NV
        probability_NV = torch.zeros_like(ordered_NV).scatter(
            -1, order_NV, ordered_NV.masked_fill(before_NV >= sampling.top_p, 0.0)
        )
    cumulated_NV = probability_NV.cumsum(-1)
    passed = uniform_N[:, None] * cumulated_NV[:, -1:]
    found = torch.searchsorted(cumulated_NV, passed, right=True)[:, 0]
    return found.clamp(max=logits_NV.shape[-1] - 1)


def _packed_pass(model: PreTrainedModel, prompts: list[tuple[int, ...]], cache: SlotCache | None = None) -> Any:
    """A forward pass over prompts that lie end to end; with a cache, the logits of each prompt's last token alone."""
    lengths = torch.tensor([len(ids) for ids in prompts])
    bounds = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(model.device)
    return model(
        input_ids=torch.tensor([[token for ids in prompts for token in ids]], device=model.device),
        position_ids=torch.cat([torch.arange(len(ids)) for ids in prompts])[None].to(model.device),
        cu_seq_lens_q=bounds.to(torch.int32),
        past_key_values=cache,
        use_cache=cache is not None,
        logits_to_keep=0 if cache is None else bounds[1:] - 1,
    )


def _chunks(prompts: list[tuple[int, ...]], most_tokens: int) -> list[list[tuple[int, ...]]]:
    """Prompts in order, in lists of at most so many tokens, or of one prompt."""
    chunks: list[list[tuple[int, ...]]] = [[]]
    held = 0
    for ids in prompts:
        if chunks[-1] and held + len(ids) > most_tokens:
            chunks.append([])
            held = 0
        chunks[-1].append(ids)
        held += len(ids)
    return chunks
