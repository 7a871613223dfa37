"""The transformers engine: for models and machines that vLLM does not support, and for very small models.

Models with full causal attention in all layers are decoded by decoding.py, several times faster than `generate`; others
(sliding windows, state spaces) use generate.py. Neighbours: ../engine.py (the protocol), ../attention/slots.py.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from transformers import GenerationConfig

from alignment.inference.adapters import load_whole
from alignment.inference.attention.slots import register, takes_slots
from alignment.inference.engine import EngineSettings, Generation, GenerationRequest, SamplingSettings
from alignment.inference.transformers import decoding, generate
from alignment.inference.vllm.weights.adapter_only import InjectedAdapter
from alignment.inference.vllm.weights.in_process import ModelCopy
from alignment.inference.weights.transfer import WeightTransfer, transferred
from alignment.inference.weights.unsharded import unsharded

HELD_TOKENS = 1 << 24  # of completions in one call: their ids and log-probs are kept until it ends


class TransformersEngine:
    """Engine on a transformers model of its own."""

    name = "transformers"

    def __init__(self, settings: EngineSettings) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with unsharded():
            model = load_whole(
                settings.model,
                dtype=getattr(torch, settings.options.resolved_dtype(on_gpu=device.type == "cuda")),
                trust_remote_code=settings.trust_remote_code,
            )
        self._model, self._settings = model.to(device).eval(), settings
        self._model.generation_config = GenerationConfig()  # `generate` would add its penalties to what is asked
        self._by_slots = takes_slots(self._model)
        if self._by_slots:
            self._model.set_attn_implementation(register())
        adapter, self.weight_version = settings.adapter, 0
        self._transfer: WeightTransfer = (
            ModelCopy(self._model) if adapter is None else InjectedAdapter(self._model, adapter)
        )

    def generate(
        self, requests: Sequence[GenerationRequest], settings: SamplingSettings
    ) -> Iterator[tuple[int, Generation]]:
        """Sample by slots, or with `transformers.generate` for a model that cannot; see Engine.generate."""
        way = decoding.generate if self._by_slots else generate.generate
        most = max(1, HELD_TOKENS // max((one.max_tokens for one in requests), default=1))
        for start in range(0, len(requests), most):
            # As a decorator it holds while a generation is made, and not while whoever asked works on it.
            made = torch.inference_mode()(way)(self._model, requests[start : start + most], self._settings, settings)
            yield from ((start + place, one) for place, one in made)

    def logprobs(self, sequences: Sequence[list[int]]) -> list[list[float]]:
        """Log-probs by one forward pass; see Engine.logprobs."""
        way = decoding if self._by_slots else generate
        with torch.inference_mode():
            return way.logprobs(self._model, sequences)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> int:
        """Copy weights into the engine's own model; see Engine.load_weights."""
        self.weight_version = transferred(self._transfer, weights, self.weight_version + 1)
        return self.weight_version

    def rest(self) -> None:
        """Nothing: the model stays where it is."""

    def close(self) -> None:
        """Drop the model, which frees its memory."""
        del self._model, self._transfer
