"""The model that vLLM is started on: a policy's folder, or the base of an adapter with the adapter beside it.

What vLLM has no form for in an adapter is merged into a temporary folder. Neighbours: in_process.py (the engine),
../adapters.py (adapters and merging), serve/command.py (the same for the server).
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from alignment.core.files import read_json
from alignment.inference.adapters import merged_copy, vllm_fault, vllm_rank
from alignment.inference.engine import EngineSettings
from alignment.records.adapter import ADAPTER_CONFIG, base_of, is_adapter_alone


@dataclass(frozen=True)
class ServedModel:
    """path: what vLLM loads. adapter: the folder of an adapter that every request is sampled with, or None."""

    path: str
    adapter: str | None = None
    rank: int | None = None  # the largest that the engine makes room for; None without adapters
    merged: "tempfile.TemporaryDirectory[str] | None" = None

    @classmethod
    def of(cls, settings: EngineSettings) -> "ServedModel":
        """A policy as it lies on disk; where a trainer sends weights, one whole model that takes them."""
        dtype = settings.options.resolved_dtype(on_gpu=torch.cuda.is_available())
        sent = None if settings.adapter is None else vllm_rank({"r": settings.adapter.r})
        found = cls.found(
            settings.model, dtype, whole=settings.weights_change, trust_remote_code=settings.trust_remote_code
        )
        return found if sent is None else replace(found, rank=sent)

    @classmethod
    def found(cls, policy: str, dtype: str, *, whole: bool = False, trust_remote_code: bool = False) -> "ServedModel":
        """dtype: in which the engine computes. whole: merge an adapter even if vLLM can take it."""
        if not is_adapter_alone(Path(policy)):
            return cls(policy)
        if whole or vllm_fault(policy) is not None:
            copy = merged_copy(policy, dtype, trust_remote_code=trust_remote_code)
            return cls(copy.name, merged=copy)
        config = read_json(Path(policy) / ADAPTER_CONFIG)
        return cls(base_of(Path(policy)), policy, vllm_rank(config))

    def lora_options(self) -> dict[str, Any]:
        """vLLM's settings for adapters."""
        if self.rank is None:
            return {}
        return {"enable_lora": True, "max_lora_rank": self.rank, "max_loras": 1, "max_cpu_loras": 2}

    def request(self) -> Any:
        """vLLM's LoRARequest for the adapter beside the model, or None."""
        if self.adapter is None:
            return None
        from vllm.lora.request import LoRARequest

        return LoRARequest("adapter", 1, self.adapter)

    def close(self) -> None:
        """Remove a merged copy."""
        if self.merged is not None:
            self.merged.cleanup()
