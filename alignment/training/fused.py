"""Fused layers of Liger Kernel in a policy that trains on a GPU: RMSNorm and SwiGLU, forward and backward.

transformers' own keep several float32 copies of each activation for the backward pass. Fused they are faster, and at the
shape of Qwen3-1.7B 16,384 tokens fit one 80 GB GPU without checkpointing (docs/gpu.md). The loss stays TRL's, and rotary
embeddings transformers': they keep nothing. Neighbour: policy.py (loads policies).
"""

import importlib.util
import sys

import torch
from transformers import PreTrainedModel

# Dense models of Llama's layers. Others that Liger knows have experts or norms of their own, and have not been tried here.
ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
# What Liger is not asked for: its losses would replace the model's forward pass, which TRL's head has its own form of, and
# its rotary embedding is a function of the architecture's module and would be every model's in this process.
LEFT_ALONE = {"rope": False, "cross_entropy": False, "fused_linear_cross_entropy": False}


def fuse(model: PreTrainedModel) -> bool:
    """Give a model on a CUDA machine Liger's layers, if Liger is installed and the architecture is tried; returns whether.

    This model alone: Liger also replaces classes in the architecture's module, which later models on a CPU would be made of.
    """
    possible = torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None
    if not possible or model.config.model_type not in ARCHITECTURES:
        return False
    from liger_kernel.transformers import _apply_liger_kernel_to_instance

    architecture = vars(sys.modules[type(model).__module__])
    before = dict(architecture)
    _apply_liger_kernel_to_instance(model=model, **LEFT_ALONE)
    architecture.update(before)
    return True
