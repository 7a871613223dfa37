"""What a policy that trains on a GPU computes otherwise: fused layers of Liger Kernel, and a residual stream in bfloat16.

transformers' RMSNorm and SwiGLU keep several float32 copies of each activation for the backward pass, and its rotary
embedding is eight passes over queries and keys. Fused they are faster, and at the shape of Qwen3-1.7B 16,384 tokens fit one
80 GB GPU without checkpointing (docs/gpu.md). The loss stays TRL's. Neighbour: policy.py (loads policies).
"""

import importlib.util
import sys
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from alignment.inference.autocast import computed_dtype

# Dense models of Llama's layers. Others that Liger knows have experts or norms of their own, and have not been tried here.
ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
# What Liger is not asked for: its losses would replace the model's forward pass, which TRL's head has its own form of, and
# it would put its rotary embedding, which has no kernel for a CPU, into every model of the architecture.
LEFT_ALONE = {"rope": False, "cross_entropy": False, "fused_linear_cross_entropy": False}
ROTARY = "apply_rotary_pos_emb"  # the function of an architecture's module that its layers call


def fuse(model: PreTrainedModel) -> bool:
    """Give a model on a CUDA machine Liger's layers, if Liger is installed and the architecture is tried; returns whether.

    Norms and MLPs of this model alone: Liger also replaces classes in the architecture's module, which later models on a
    CPU would be made of. The rotary embedding is a function of that module; on a CPU it stays what it was.
    """
    possible = torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None
    if not possible or model.config.model_type not in ARCHITECTURES:
        return False
    from liger_kernel.ops import LigerRopeFunction
    from liger_kernel.transformers import _apply_liger_kernel_to_instance

    architecture = vars(sys.modules[type(model).__module__])
    before = dict(architecture)
    _apply_liger_kernel_to_instance(model=model, **LEFT_ALONE)
    architecture.update(before)
    architecture[ROTARY] = on_gpu(LigerRopeFunction.apply, before[ROTARY])
    narrow_residual(model)
    return True


def on_gpu(kernel: Callable[..., Any], ordinary: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls a kernel for rows end to end on a GPU, and the ordinary function for all else.

    Liger compiles its kernel anew for each number of rows side by side, and while completions are decoded that changes.
    """
    if getattr(ordinary, "ordinary", None) is not None:  # an earlier model of the architecture has brought the kernel
        return ordinary

    def rotated(query_BHTD: torch.Tensor, *rest: Any, **options: Any) -> Any:
        end_to_end = query_BHTD.is_cuda and len(query_BHTD) == 1
        return (kernel if end_to_end else ordinary)(query_BHTD, *rest, **options)

    rotated.ordinary = ordinary  # type: ignore[attr-defined]
    return rotated


def narrow_residual(model: PreTrainedModel) -> None:
    """Let the residual stream have autocast's type, as it has in a model whose weights have that type.

    Embeddings are looked up, which autocast leaves in float32, and every layer adds to them: each norm and addition would
    read and write twice the bytes, and each matrix product convert its input first.
    """
    model.get_input_embeddings().register_forward_hook(_in_autocast)


def _in_autocast(_module: torch.nn.Module, _given: Any, embedded_BTC: torch.Tensor) -> torch.Tensor:
    return embedded_BTC.to(computed_dtype(embedded_BTC))
