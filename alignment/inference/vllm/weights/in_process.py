"""Weights into an engine of this process: a copy into a transformers model, or vLLM's own layer-wise reload.

Neighbours: inference/weights/transfer.py (the protocol), reload.py (the reload), server.py (into servers).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

from alignment.core.errors import EngineError
from alignment.inference.vllm.prefix_cache import emptied
from alignment.inference.vllm.weights.reload import begin_reload, finish_reload

if TYPE_CHECKING:
    from vllm import LLM


class ModelCopy:
    """Copies into the tensors of a transformers model, on whichever device they are."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._own = model.state_dict()
        self._version = 0

    def begin(self, version: int) -> None:
        """Nothing has to be got ready."""
        self._version = version

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Copy each tensor over the model's own. Raises EngineError for a name that the model does not have."""
        for name, tensor in weights:
            if name not in self._own:
                raise EngineError(
                    f"the engine's model has no weight `{name}`: it was loaded from another architecture than the trainer's"
                )
            self._own[name].copy_(tensor)

    def finish(self) -> int:
        """The version; every tensor is in place already."""
        return self._version


class VllmReload:
    """Reloads a vLLM model in place, layer by layer: unpacked, filled, and processed for the kernels again."""

    def __init__(self, llm: "LLM") -> None:
        self._llm, self._version = llm, 0

    def begin(self, version: int) -> None:
        """Take each layer back to the form of a checkpoint. Raises EngineError for experts that vLLM cannot reload."""
        self._version = version
        self._apply(begin_reload)

    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Load tensors; a layer is processed as soon as it is whole."""
        self._apply(lambda model: model.load_weights(weights))

    def finish(self) -> int:
        """Process what is left, pack what the CPU backend packs, and drop what was computed from the old weights."""
        config = self._llm.llm_engine.model_config
        self._apply(lambda model: finish_reload(model, config))
        emptied(self._llm)
        return self._version

    def _apply(self, work: Callable[[torch.nn.Module], Any]) -> None:
        """Work on the model under vLLM's settings, which its layers ask for while they are processed."""
        from vllm.config import set_current_vllm_config

        with set_current_vllm_config(self._llm.llm_engine.vllm_config):
            self._llm.apply_model(work)
