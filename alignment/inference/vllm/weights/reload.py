"""vLLM's layer-wise reload of a model, in whichever process the model is, with what its CPU backend leaves out.

On a CPU vLLM 0.31 keeps re-packed copies of the output head and of experts, which its reload leaves as they were or fills
with weights that are not packed; here they are packed again. Call both under vLLM's current config. Neighbours:
in_process.py and receiver.py, which send weights in between.
"""

from typing import Any

import torch

from alignment.core.errors import EngineError


def begin_reload(model: torch.nn.Module) -> None:
    """Take each layer back to the form of a checkpoint. Raises EngineError for experts that vLLM cannot reload."""
    from vllm.model_executor.model_loader.reload import initialize_layerwise_reload

    if _on_cpu():
        _refuse_padded_experts(model)
    initialize_layerwise_reload(model)


def finish_reload(model: torch.nn.Module, config: Any) -> None:
    """Process what is left, and pack what the CPU backend packs. config: vLLM's ModelConfig."""
    from vllm.model_executor.model_loader.reload import finalize_layerwise_reload

    loaded = [module for module in _experts(model) if _was_loaded(module)]
    finalize_layerwise_reload(model, config)
    if _on_cpu():
        _repack_head(model)
        for module in loaded:
            _fused_experts(module).process_weights_after_loading(module)


def _on_cpu() -> bool:
    return not torch.cuda.is_available()


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
