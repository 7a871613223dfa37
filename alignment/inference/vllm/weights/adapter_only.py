"""An adapter's weights alone into an engine of this process: nothing is merged, so that no small update is rounded away.

In bfloat16 a weight takes an update only where it is above half of the distance to the next number, some 0.2% of the weight.
Neighbours: inference/weights/transfer.py (the protocol), in_process.py (whole weights), training/rl/engine_weights.py (which of the two).
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file

from alignment.core.errors import EngineError
from alignment.inference.lora_linear import fuse_adapters
from alignment.inference.vllm.prefix_cache import emptied
from alignment.inference.weights.merged import adapter_weights

if TYPE_CHECKING:
    from vllm.lora.request import LoRARequest

_PREFIX, _NAME, _MEMORY = "base_model.model.", ".default", Path("/dev/shm")  # noqa: S108  files in memory


class InjectedAdapter:
    """An adapter on a transformers model of the engine's own, whose weights are copied in."""

    def __init__(self, model: torch.nn.Module, config: LoraConfig) -> None:
        inject_adapter_in_model(config, model)
        fuse_adapters(model)
        self._own = dict(adapter_weights(model.eval()))
        self._version = 0

    def begin(self, version: int) -> None:
        """Nothing has to be got ready."""
        self._version = version

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Copy each tensor over the adapter's own. Raises EngineError for one that it does not have, or that is missing."""
        left = set(self._own)
        for name, tensor in weights:
            bare = name.removeprefix("module.").removeprefix(_PREFIX)
            if bare not in self._own:
                raise EngineError(f"the engine's adapter has no weight `{bare}`: it was made with other settings")
            self._own[bare].copy_(tensor)
            left.discard(bare)
        if left:
            raise EngineError(f"the trainer's adapter has no weight {sorted(left)[0]}: it was made with other settings")

    def finish(self) -> int:
        """The version; every tensor is in place already."""
        return self._version


class LoraRequests:
    """An adapter as vLLM's LoRARequest: a folder in memory, and a new id for each version, so that no old one is found."""

    def __init__(self, engine: Any, config: LoraConfig) -> None:
        self._engine, self._config, self._version = engine, config, 0
        where = str(_MEMORY) if _MEMORY.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="alignment-adapter-", dir=where)
        self.request: LoRARequest | None = None

    def begin(self, version: int) -> None:
        """Nothing has to be got ready."""
        self._version = version

    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Write the adapter as PEFT does."""
        held = {
            name.removeprefix("module.").replace(f"{_NAME}.", "."): weight.detach().float().cpu().contiguous()
            for name, weight in weights
        }
        save_file(held, Path(self._folder.name) / "adapter_model.safetensors")
        self._config.save_pretrained(self._folder.name)

    def finish(self) -> int:
        """Load it under its new id, and drop the last one; requests from now on are sampled with it."""
        from vllm.lora.request import LoRARequest

        old, number = self.request, self._version + 1  # ids begin at 1
        self.request = LoRARequest(f"version-{self._version}", number, self._folder.name)
        self._engine.add_lora(self.request)
        if old is not None:
            self._engine.remove_lora(old.lora_int_id)
        emptied(self._engine)
        return self._version

    def close(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()
