"""`engine: auto`: vLLM if it can run here, else transformers. Imports no torch until an engine starts.

Neighbours: vllm/kind.py and transformers/kind.py (the two), recipe/blocks/engine.py (the list).
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from alignment.core.errors import EngineError
from alignment.inference.transformers import kind as transformers
from alignment.inference.vllm import kind as vllm
from alignment.recipe.blocks.engine import EngineKind, VllmOptions, retyped

if TYPE_CHECKING:
    from alignment.inference.engine import Engine, EngineSettings


def start(settings: "EngineSettings") -> "Engine":
    """The first engine that can run here, and says so where vLLM is installed and does not take the model."""
    if vllm.ENGINE.fault(settings.processes) is None:
        try:
            return _started(vllm.ENGINE, settings)
        except EngineError as error:
            print(f"engine: auto takes transformers. {error}", flush=True)
    return _started(transformers.ENGINE, settings)


def _started(chosen: EngineKind, settings: "EngineSettings") -> "Engine":
    started: Engine = chosen.start(replace(settings, options=retyped(settings.options, chosen.name)))
    return started


ENGINE = EngineKind(
    "auto", VllmOptions, transformers.ENGINE.fault, start, adapter_fault=vllm.ENGINE.adapter_fault, memory="reserved"
)
