"""`engine: vllm_server`: declares the engine, and whether it can run here. Imports neither torch nor vLLM until it starts.

Neighbours: pool.py (the engine), recipe/blocks/engine.py (the list, and the options).
"""

from typing import TYPE_CHECKING

from alignment.inference.vllm.kind import adapter_fault, vllm_fault
from alignment.recipe.blocks.engine import EngineKind, VllmServerOptions

if TYPE_CHECKING:
    from alignment.inference.engine import Engine, EngineSettings


def fault(_: int = 1) -> str | None:
    """As vLLM's in this process, but beside any number of training processes, which share the servers."""
    return vllm_fault()


def start(settings: "EngineSettings") -> "Engine":
    """Start the servers, or connect to those that run already. Collective: every rank of a stage calls it."""
    from alignment.inference.vllm.server.pool import ServerPool

    return ServerPool(settings)


ENGINE = EngineKind("vllm_server", VllmServerOptions, fault, start, has_workers=True, adapter_fault=adapter_fault)
