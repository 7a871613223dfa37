"""Sampling with `transformers.generate`: slower than decoding.py, for models whose state is more than keys and values.

Prompts of similar length are batched, so that padding stays small. Log-probs come from one more forward pass over the
samples, because keeping the logits of every step would take batch x length x vocabulary values. Neighbours:
inference/choice.py, clock.py, engine.py (chooses between the two).
"""

from collections.abc import Collection, Iterator, Sequence

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from alignment.inference.choice import choose, uniforms
from alignment.inference.engine import (
    EngineSettings,
    Generation,
    GenerationRequest,
    SamplingSettings,
    as_generation,
)
from alignment.inference.transformers.clock import ThinkingClock

SCORED_ROWS = 32  # in one forward pass


class RowSampler(LogitsProcessor):
    """Masks all but one token per row: the next of the stop text if its budget is spent, else the sampled one.

    `generate` runs greedily on top of it, so that a row's random numbers do not depend on its batch.
    """

    def __init__(
        self, requests: Sequence[GenerationRequest], sampling: SamplingSettings, clock: ThinkingClock | None
    ) -> None:
        self._rows, self._sampling, self._clock = torch.arange(len(requests)), sampling, clock
        self._uniforms_BT, self._step = uniforms(requests), 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._clock is not None and self._step:
            self._clock.advance(self._rows, input_ids[:, -1].cpu())
        chosen_B = choose(scores.float(), self._sampling, self._uniforms_BT[:, self._step].to(scores.device))
        self._step += 1
        if self._clock is not None:
            forced_B = self._clock.forced(self._rows).to(scores.device)
            chosen_B = torch.where(forced_B >= 0, forced_B, chosen_B)
        return torch.full_like(scores, -torch.inf).scatter(-1, chosen_B[:, None], 0.0)


def generate(
    model: PreTrainedModel, requests: Sequence[GenerationRequest], engine: EngineSettings, sampling: SamplingSettings
) -> Iterator[tuple[int, Generation]]:
    """Generate as Engine.generate does; the rows of a batch finish together."""
    order = sorted(range(len(requests)), key=lambda row: (len(requests[row].prompt_ids), requests[row].max_tokens))
    for start in range(0, len(order), engine.options.max_sequences):
        chosen = order[start : start + engine.options.max_sequences]
        batch = [requests[row] for row in chosen]
        sampled = _generate(model, batch, engine, sampling)
        scored = [[0.0] * (len(one.prompt_ids) + len(ids) - 1) for one, ids in zip(batch, sampled, strict=True)]
        if sampling.logprobs:
            scored = logprobs(model, [one.prompt_ids + ids for one, ids in zip(batch, sampled, strict=True)])
        for row, request, ids, found in zip(chosen, batch, sampled, scored, strict=True):
            own, ended = found[len(request.prompt_ids) - 1 :], bool(ids) and ids[-1] in engine.stop_ids
            yield row, as_generation(request, ids, own, engine.thinking, ended=ended)


def logprobs(model: PreTrainedModel, sequences: Sequence[list[int]]) -> list[list[float]]:
    """Log-probs (nats) of every token but the first, given those before it."""
    found: dict[int, list[float]] = {}
    order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
    for start in range(0, len(order), SCORED_ROWS):
        chosen = order[start : start + SCORED_ROWS]
        ids_BT, mask_BT = _pad(model, [sequences[index] for index in chosen], 0, left=False)
        logits_BTV = model(input_ids=ids_BT, attention_mask=mask_BT).logits[:, :-1].float()
        picked_BT = logits_BTV.gather(-1, ids_BT[:, 1:, None])[..., 0] - logits_BTV.logsumexp(-1)
        for row, index in enumerate(chosen):
            found[index] = picked_BT[row, : len(sequences[index]) - 1].tolist()
    return [found[index] for index in range(len(sequences))]


def _generate(
    model: PreTrainedModel, batch: list[GenerationRequest], engine: EngineSettings, sampling: SamplingSettings
) -> list[list[int]]:
    shared = frozenset[int].intersection(*(frozenset(one.stop_after) for one in batch))
    configuration = GenerationConfig(
        do_sample=False,  # RowSampler chooses
        max_new_tokens=max(one.max_tokens for one in batch),
        # Tokens at which every row stops; those of some rows alone are found below, in what was sampled too much.
        eos_token_id=sorted({*engine.stop_ids, *shared}),
        pad_token_id=engine.pad_id,
    )
    budgets = [one.most_thinking for one in batch]
    clock: ThinkingClock | None = None
    if engine.thinking is not None and any(budget is not None for budget in budgets):
        clock = ThinkingClock([one.prompt_ids for one in batch], budgets, engine.thinking)
    ids_BT, mask_BT = _pad(model, [one.prompt_ids for one in batch], engine.pad_id, left=True)
    output_BT = model.generate(
        ids_BT,
        attention_mask=mask_BT,
        generation_config=configuration,
        logits_processor=LogitsProcessorList([RowSampler(batch, sampling, clock)]),
    )
    rows = output_BT[:, ids_BT.shape[1] :].tolist()
    return [
        _until_stop(row[: one.max_tokens], {*engine.stop_ids, *one.stop_after})
        for row, one in zip(rows, batch, strict=True)
    ]


def _until_stop(ids: list[int], stop_ids: Collection[int]) -> list[int]:
    for position, token in enumerate(ids):
        if token in stop_ids:
            return ids[: position + 1]
    return ids


def _pad(
    model: PreTrainedModel, rows: list[list[int]], pad_id: int, *, left: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask, both of shape (rows, longest)."""
    longest = max(len(row) for row in rows)
    ids_BT = torch.full((len(rows), longest), pad_id)
    mask_BT = torch.zeros((len(rows), longest), dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(longest - len(row), None) if left else slice(0, len(row))
        ids_BT[index, place] = torch.tensor(row)
        mask_BT[index, place] = 1
    return ids_BT.to(model.device), mask_BT.to(model.device)
