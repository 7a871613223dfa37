"""An adapter into vLLM servers of this machine: its own weights alone, merged nowhere.

Each version is a folder in PEFT's form, which the servers load in place of the one before under one name. Neighbours:
server.py (whole weights), inference/vllm/server/pool.py (asks for completions of the adapter).
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file

from alignment.core.errors import EngineError
from alignment.inference.vllm.server.client import Json
from alignment.inference.vllm.server.fleet import Fleet

NAME = "policy"  # of the adapter, as requests name it


class AdapterTransfer:
    """Sends an adapter to all servers of a fleet that are alive. folder: on this machine, for one version at a time."""

    def __init__(self, fleet: Fleet, config: LoraConfig, folder: Path, prefix: str) -> None:
        self._fleet, self._config, self._folder, self._prefix = fleet, config, folder, prefix
        self._version = 0

    @property
    def name(self) -> str:
        """What the servers call the version that they got last."""
        return f"{self._prefix}-{self._version}"

    @property
    def _place(self) -> Path:
        return self._folder / f"adapter-{self._version}"

    def begin(self, version: int) -> None:
        """End what a call that was given up left behind, its prefix cache too, and drop the folder of the version before."""
        shutil.rmtree(self._place, ignore_errors=True)
        self._version = version
        self._everywhere("/pause?mode=abort")

    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Write the adapter. Raises EngineError for weights that are not an adapter's."""
        found = {
            name.removeprefix("module.").replace(".default.", "."): tensor.detach().float().cpu().contiguous()
            for name, tensor in weights
        }
        whole = [name for name in found if ".lora_A." not in name and ".lora_B." not in name]
        if whole:
            raise EngineError(f"{whole[0]} is not a weight of an adapter; write `weight_transfer: shm`")
        self._place.mkdir(parents=True)
        save_file(found, self._place / "adapter_model.safetensors")
        self._config.save_pretrained(self._place)

    def finish(self) -> int:
        """Make the servers load it, and call their weights by the version's name."""
        self._everywhere(
            "/v1/load_lora_adapter", {"lora_name": NAME, "lora_path": str(self._place), "load_inplace": True}
        )
        self._everywhere("/update_weight_version", {"new_version": self.name})
        self._everywhere("/resume")
        return self._version

    def close(self) -> None:
        """Nothing: the folder is the pool's own to drop."""

    def _everywhere(self, path: str, body: Json | None = None) -> None:
        self._fleet.everywhere(path, body, f"an adapter of version {self._version} ({path.partition('?')[0]})")
