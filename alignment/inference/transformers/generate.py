"""Draws tokens with `transformers.generate`: slower than decoding.py, for models that keep more than keys and values.

Prompts of like length are batched together, so that padding stays small. Log-probs come from one more forward pass
over what was drawn, because keeping the logits of every step would cost batch x length x vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from alignment.inference.engine import Ask, Draw, EngineSettings, SamplingSettings
from alignment.inference.transformers.clock import ThinkingClock

SCORED_ROWS = 32  # in one forward pass


class BudgetProcessor(LogitsProcessor):
    """Leaves nothing but the next token of the stop text to rows whose thinking budget is spent."""

    def __init__(self, clock: ThinkingClock, rows: int) -> None:
        self._clock, self._rows, self._started = clock, torch.arange(rows), False

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._started:
            self._clock.advance(self._rows, input_ids[:, -1].cpu())
        self._started = True
        forced_B1 = self._clock.forced(self._rows)[:, None].to(scores.device)
        only_BV = torch.full_like(scores, -torch.inf).scatter(-1, forced_B1.clamp(min=0), 0.0)
        return torch.where(forced_B1 >= 0, only_BV, scores)


def draw(
    model: PreTrainedModel, asked: Sequence[Ask], engine: EngineSettings, sampling: SamplingSettings, seed: int
) -> list[Draw]:
    """One draw for each, as the Engine protocol says."""
    drawn: dict[int, tuple[list[int], bool]] = {}
    devices = [model.device] if model.device.type == "cuda" else []
    order = sorted(range(len(asked)), key=lambda index: (len(asked[index].prompt), asked[index].most_tokens))
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        for start in range(0, len(order), engine.max_sequences):
            chosen = order[start : start + engine.max_sequences]
            rows = _generate(model, [asked[index] for index in chosen], engine, sampling)
            for index, ids in zip(chosen, rows, strict=True):
                kept = ids[: asked[index].most_tokens]
                drawn[index] = (kept, bool(kept) and kept[-1] in engine.stop_ids)
    scored = logprobs(model, [one.prompt + drawn[index][0] for index, one in enumerate(asked)])
    return [
        Draw(drawn[index][0], found[len(one.prompt) - 1 :], drawn[index][1])
        for index, (one, found) in enumerate(zip(asked, scored, strict=True))
    ]


def logprobs(model: PreTrainedModel, sequences: Sequence[list[int]]) -> list[list[float]]:
    """The log-prob of every token but the first, given those before it."""
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
    model: PreTrainedModel, batch: list[Ask], engine: EngineSettings, sampling: SamplingSettings
) -> list[list[int]]:
    chosen: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        chosen = {"do_sample": True, "temperature": sampling.temperature}
        chosen |= {"top_p": sampling.top_p, "top_k": sampling.top_k}
    configuration = GenerationConfig(
        max_new_tokens=max(one.most_tokens for one in batch),
        eos_token_id=list(engine.stop_ids),
        pad_token_id=engine.pad_id,
        **chosen,
    )
    processors = LogitsProcessorList()
    if engine.thinking is not None and any(one.budget is not None for one in batch):
        clock = ThinkingClock([one.prompt for one in batch], [one.budget for one in batch], engine.thinking)
        processors.append(BudgetProcessor(clock, len(batch)))
    ids_BT, mask_BT = _pad(model, [one.prompt for one in batch], engine.pad_id, left=True)
    output_BT = model.generate(
        ids_BT, attention_mask=mask_BT, generation_config=configuration, logits_processor=processors
    )
    return [_until_stop(row, engine.stop_ids) for row in output_BT[:, ids_BT.shape[1] :].tolist()]


def _until_stop(ids: list[int], stop_ids: Sequence[int]) -> list[int]:
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
