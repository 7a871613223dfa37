"""`transformers.generate` as an engine: for models that vLLM does not know, and for machines it does not run on.

Prompts of like length are batched together, so that padding stays small. Log-probs come from one more forward pass
over what was drawn, because keeping the logits of every step would cost batch x length x vocabulary.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, GenerationConfig

from alignment.rollout.engine import Draw, EngineSettings, SamplingSettings


class TransformersEngine:
    """Engine on a transformers model of its own."""

    name = "transformers"

    def __init__(self, settings: EngineSettings) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        auto = torch.float32 if self._device.type == "cpu" else torch.bfloat16
        dtype = auto if settings.dtype == "auto" else getattr(torch, settings.dtype)
        self._model = AutoModelForCausalLM.from_pretrained(
            settings.model, dtype=dtype, use_safetensors=True, trust_remote_code=settings.trust_remote_code
        ).to(self._device)
        self._model.eval()
        self._settings = settings

    def draw(
        self, prompts: Sequence[list[int]], max_tokens: Sequence[int], settings: SamplingSettings, seed: int
    ) -> list[Draw]:
        draws: dict[int, Draw] = {}
        devices = [self._device] if self._device.type == "cuda" else []
        order = sorted(range(len(prompts)), key=lambda index: (len(prompts[index]), max_tokens[index]))
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(seed)
            for start in range(0, len(order), self._settings.max_sequences):
                chosen = order[start : start + self._settings.max_sequences]
                batch = [prompts[index] for index in chosen]
                drawn = self._generate(batch, max(max_tokens[index] for index in chosen), settings)
                for index, ids in zip(chosen, drawn, strict=True):
                    kept = ids[: max_tokens[index]]
                    draws[index] = Draw(kept, [], bool(kept) and kept[-1] in self._settings.stop_ids)
        listed = [draws[index] for index in range(len(prompts))]
        scored = self.logprobs([prompt + draw.token_ids for prompt, draw in zip(prompts, listed, strict=True)])
        return [
            Draw(draw.token_ids, found[len(prompt) - 1 :], draw.ended)
            for prompt, draw, found in zip(prompts, listed, scored, strict=True)
        ]

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        found: dict[int, list[float]] = {}
        order = sorted(range(len(sequences)), key=lambda index: len(sequences[index]))
        with torch.inference_mode():
            for start in range(0, len(order), 32):
                chosen = order[start : start + 32]
                ids_BT, mask_BT = self._pad([sequences[index] for index in chosen], left=False)
                logits_BTV = self._model(input_ids=ids_BT, attention_mask=mask_BT).logits[:, :-1].float()
                picked_BT = logits_BTV.gather(-1, ids_BT[:, 1:, None])[..., 0] - logits_BTV.logsumexp(-1)
                for row, index in enumerate(chosen):
                    found[index] = picked_BT[row, : len(sequences[index]) - 1].tolist()
        return [found[index] for index in range(len(sequences))]

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        own = self._model.state_dict()
        with torch.no_grad():
            for name, tensor in weights:
                own[name].copy_(tensor)

    def close(self) -> None:
        del self._model

    def _generate(self, batch: list[list[int]], limit: int, settings: SamplingSettings) -> list[list[int]]:
        ids_BT, mask_BT = self._pad(batch, left=True)
        sampling: dict[str, Any] = {"do_sample": False}
        if settings.temperature > 0:
            sampling = {
                "do_sample": True,
                "temperature": settings.temperature,
                "top_p": settings.top_p,
                "top_k": settings.top_k,
            }
        configuration = GenerationConfig(
            max_new_tokens=limit,
            eos_token_id=list(self._settings.stop_ids),
            pad_token_id=self._settings.pad_id,
            **sampling,
        )
        output_BT = self._model.generate(ids_BT, attention_mask=mask_BT, generation_config=configuration)
        return [self._until_stop(row) for row in output_BT[:, ids_BT.shape[1] :].tolist()]

    def _until_stop(self, ids: list[int]) -> list[int]:
        for position, token in enumerate(ids):
            if token in self._settings.stop_ids:
                return ids[: position + 1]
        return ids

    def _pad(self, rows: list[list[int]], *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, both of shape (rows, longest)."""
        longest = max(len(row) for row in rows)
        ids_BT = torch.full((len(rows), longest), self._settings.pad_id)
        mask_BT = torch.zeros((len(rows), longest), dtype=torch.long)
        for index, row in enumerate(rows):
            place = slice(longest - len(row), None) if left else slice(0, len(row))
            ids_BT[index, place] = torch.tensor(row)
            mask_BT[index, place] = 1
        return ids_BT.to(self._device), mask_BT.to(self._device)
