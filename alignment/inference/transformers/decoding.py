"""Continuous batching on a transformers model: finished rows leave the batch, and waiting ones take their slots.

`transformers.generate` runs all rows until the longest has ended, pads every prompt, and copies its cache for each
token. With completions of different lengths, most of that time is spent on finished rows. Here equal prompts are read
once for all their rows, nothing is padded, and log-probs come from the logits that were sampled from. Neighbours:
inference/attention/slots.py (the cache), inference/choice.py (chooses tokens), clock.py (thinking budgets).
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import torch
from transformers import PreTrainedModel

from alignment.inference.attention.slots import SlotCache, token_bytes
from alignment.inference.choice import choose_scored, uniforms
from alignment.inference.engine import (
    EngineSettings,
    Generation,
    GenerationRequest,
    SamplingSettings,
    as_generation,
)
from alignment.inference.transformers.clock import ThinkingClock

CACHE_BYTES = 2 << 30  # of keys and values; limits the number of rows at once
PASS_TOKENS = 8192  # of prompts, in one forward pass
LOGITS = 1 << 28  # values held at once while log-probs are computed


def generate(
    model: PreTrainedModel, requests: Sequence[GenerationRequest], engine: EngineSettings, sampling: SamplingSettings
) -> Iterator[tuple[int, Generation]]:
    """Generate as Engine.generate does; the model must use slot attention (attention/slots.py)."""
    decoder = Decoder(model, requests, engine)
    for row in decoder.run(sampling, uniforms(requests)):
        count = int(decoder.counts[row])
        ids, logprobs_T = decoder.sampled[row, :count].tolist(), decoder.logprobs[row, :count].tolist()
        yield row, as_generation(requests[row], ids, logprobs_T, engine.thinking, ended=bool(decoder.ended[row]))


def logprobs(model: PreTrainedModel, sequences: Sequence[list[int]]) -> list[list[float]]:
    """Log-probs (nats) of every token but the first, given those before it."""
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
    """The rows of one batch: sampled and logprobs (rows, longest), counts and ended (rows,), all on the CPU."""

    def __init__(self, model: PreTrainedModel, requests: Sequence[GenerationRequest], engine: EngineSettings) -> None:
        self._model, self._device, self._most_rows = model, model.device, engine.options.max_sequences
        self._prompts = [tuple(one.prompt_ids) for one in requests]
        self._limits = torch.tensor([one.max_tokens for one in requests])
        self._lengths = torch.tensor([len(prompt) for prompt in self._prompts])
        self._stops = torch.tensor(list(engine.stop_ids))
        self._stop_after = (
            [frozenset(one.stop_after) for one in requests] if any(r.stop_after for r in requests) else []
        )
        budgets = [one.most_thinking for one in requests]
        self._clock: ThinkingClock | None = None
        if engine.thinking is not None and any(budget is not None for budget in budgets):
            self._clock = ThinkingClock(self._prompts, budgets, engine.thinking)
        shape = (len(requests), int(self._limits.max()))
        self.sampled, self.logprobs = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
        self.counts = torch.zeros(len(requests), dtype=torch.long)
        self.ended = torch.zeros(len(requests), dtype=torch.bool)

    def run(self, sampling: SamplingSettings, uniforms_RT: torch.Tensor) -> Iterator[int]:
        """Sample every row to its end; yields the index of each as it ends. uniforms_RT: see choice.py."""
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
                self._choose(joined, logits_NV, sampling, uniforms_RT)
                rows = torch.cat([rows, joined])
            else:
                self._choose(rows, self._step(cache, rows), sampling, uniforms_RT)
            over_N = self.ended[rows] | (self.counts[rows] >= self._limits[rows])
            if over_N.any():
                yield from rows[over_N].tolist()
                rows = self._without_ended(cache, rows, over_N)

    def _prefill(self, cache: SlotCache, joining: Sequence[int], first_slot: int) -> torch.Tensor:
        """Read the prompts of rows into the slots from first_slot on; returns their next logits (rows, V)."""
        slots_of: dict[tuple[int, ...], list[int]] = {}
        for place, row in enumerate(joining):
            slots_of.setdefault(self._prompts[row], []).append(first_slot + place)
        logits: list[torch.Tensor] = []
        for chunk in _chunks(list(slots_of), PASS_TOKENS):
            to, source, start = [], [], 0
            for ids in chunk:
                for slot in slots_of[ids]:
                    to.append(torch.arange(len(ids)) + slot * cache.capacity)
                    source.append(torch.arange(len(ids)) + start)
                start += len(ids)
            cache.place(torch.cat(to).to(self._device), torch.cat(source).to(self._device))
            logits.append(_packed_pass(self._model, chunk, cache).logits[0].float())
        number = {ids: index for index, ids in enumerate(slots_of)}
        prompt_N = torch.tensor([number[self._prompts[row]] for row in joining], device=self._device)
        return torch.cat(logits).index_select(0, prompt_N)

    def _step(self, cache: SlotCache, rows: torch.Tensor) -> torch.Tensor:
        """The logits (rows, V) that follow each row's last token."""
        positions_N = self._lengths[rows] + self.counts[rows] - 1
        last_N = self.sampled[rows, self.counts[rows] - 1]
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
        self, rows: torch.Tensor, logits_NV: torch.Tensor, sampling: SamplingSettings, uniforms_RT: torch.Tensor
    ) -> None:
        at_N = self.counts[rows]
        chosen_N, logprob_N = choose_scored(logits_NV, sampling, uniforms_RT[rows, at_N].to(logits_NV.device))
        chosen_N, logprob_N = chosen_N.cpu(), logprob_N.cpu()
        if self._clock is not None:
            forced_N = self._clock.forced(rows)
            chosen_N = torch.where(forced_N >= 0, forced_N, chosen_N)
            logprob_N = torch.where(forced_N >= 0, 0.0, logprob_N)
            self._clock.advance(rows, chosen_N)
        self.sampled[rows, at_N], self.logprobs[rows, at_N] = chosen_N, logprob_N
        self.counts[rows] = at_N + 1
        ended_N = torch.isin(chosen_N, self._stops)
        if self._stop_after:
            pairs = zip(rows.tolist(), chosen_N.tolist(), strict=True)
            ended_N |= torch.tensor([token in self._stop_after[row] for row, token in pairs], dtype=torch.bool)
        self.ended[rows] = ended_N

    def _without_ended(self, cache: SlotCache, rows: torch.Tensor, over_N: torch.Tensor) -> torch.Tensor:
        """The unfinished rows, moved into the first slots: the last ones take the places of those that ended."""
        left = int((~over_N).sum())
        holes, last = over_N[:left].nonzero()[:, 0], (~over_N[left:]).nonzero()[:, 0] + left
        if len(holes):
            length = int((self._lengths[rows[last]] + self.counts[rows[last]]).max())
            cache.move(last.to(self._device), holes.to(self._device), length)
            rows = rows.clone()
            rows[holes] = rows[last]
        return rows[:left]


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
