"""Weights into an engine of this process: a copy into a transformers model, or vLLM's own layer-wise reload.

On a CPU vLLM 0.31 keeps re-packed copies of the output head and of experts, which its reload leaves as they were or
fills with weights that are not packed; here they are packed again. Neighbour: transfer.py (the protocol).
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

from alignment.core.errors import EngineError

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
        self._on_cpu = not torch.cuda.is_available()

    def begin(self, version: int) -> None:
        """Take each layer back to the form of a checkpoint. Raises EngineError for experts that vLLM cannot reload."""
        from vllm.model_executor.model_loader.reload import initialize_layerwise_reload

        self._version = version
        if self._on_cpu:
            self._apply(_refuse_padded_experts)
        self._apply(initialize_layerwise_reload)

    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Load tensors; a layer is processed as soon as it is whole."""
        self._apply(lambda model: model.load_weights(weights))

    def finish(self) -> int:
        """Process what is left, pack what the CPU backend packs, and drop what was computed from the old weights."""
        from vllm.model_executor.model_loader.reload import finalize_layerwise_reload

        config = self._llm.llm_engine.model_config

        def finalize(model: torch.nn.Module) -> None:
            loaded = [module for module in _experts(model) if _was_loaded(module)]
            finalize_layerwise_reload(model, config)
            if self._on_cpu:
                _repack_head(model)
                for module in loaded:
                    _fused_experts(module).process_weights_after_loading(module)

        self._apply(finalize)
        self._llm.reset_prefix_cache()
        return self._version

    def _apply(self, work: Callable[[torch.nn.Module], Any]) -> None:
        """Work on the model under vLLM's settings, which its layers ask for while they are processed."""
        from vllm.config import set_current_vllm_config

        with set_current_vllm_config(self._llm.llm_engine.vllm_config):
            self._llm.apply_model(work)


def _repack_head(model: torch.nn.Module) -> None:
    """Re-pack the output head from its current weights.

    Logits are computed from a packed copy. A reload leaves out the copy of a head that is tied to the embedding:
    new layers would run with the old head.
    """
    from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding

    for module in model.modules():
        if isinstance(module, VocabParallelEmbedding) and hasattr(module, "cpu_linear"):
            module.quant_method.process_weights_after_loading(module)


def _experts(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules that hold experts in a kernel's own form. A reload fills them, and packs them only the first time."""
    return [module for module in model.modules() if _fused_experts(module) is not None]


def _fused_experts(module: torch.nn.Module) -> Any:
    kernel = getattr(getattr(module, "quant_method", None), "moe_kernel", None)
    return getattr(kernel, "fused_experts", None)


def _was_loaded(module: torch.nn.Module) -> bool:
    """Whether weights came for a layer since the reload began; those of others are still packed."""
    from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info

    info = get_layerwise_info(module)
    return info.load_numel > 0 or not info.can_load()


def _refuse_padded_experts(model: torch.nn.Module) -> None:
    for module in _experts(model):
        experts = _fused_experts(module)
        if not hasattr(experts, "_padded_intermediate_size"):
            continue
        size = experts.moe_config.intermediate_size_per_partition
        padded = experts._padded_intermediate_size(experts.moe_config)  # noqa: SLF001  vLLM does not say it elsewhere
        if padded != size:
            raise EngineError(
                f"vLLM pads experts of {size} to {padded} on a CPU, and cannot take new weights for them; write "
                "`engine: transformers`"
            )
