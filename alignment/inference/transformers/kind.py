"""`engine: transformers`: declares the engine, which runs wherever torch does. Imports no torch until it starts.

Neighbours: engine.py (the engine), recipe/blocks/engine.py (the list).
"""

from typing import TYPE_CHECKING

from alignment.recipe.blocks.engine import EngineKind, EngineOptions

if TYPE_CHECKING:
    from alignment.inference.engine import Engine, EngineSettings


def fault(_: int = 1) -> str | None:
    """None: it runs everywhere."""
    return None


def start(settings: "EngineSettings") -> "Engine":
    """Start a transformers model in this process."""
    from alignment.inference.transformers.engine import TransformersEngine

    return TransformersEngine(settings)


ENGINE = EngineKind("transformers", EngineOptions, fault, start, adapter_fault=lambda _: None, memory="as_needed")
