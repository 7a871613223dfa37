"""The weights of a policy on disk, by name, for servers that may hold others. Neighbour: inference/vllm/weights/server.py."""

from collections.abc import Iterator
from pathlib import Path

import torch

from alignment.core.errors import EngineError


def stored_weights(policy: str) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a model folder or hub id, one at a time. Raises EngineError without safetensors files."""
    from safetensors import safe_open

    folder = Path(policy)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(policy, allow_patterns=["*.safetensors", "*.json"]))
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise EngineError(f"{folder}: there is no safetensors file, so no weights can be sent to the engine workers")
    for path in files:
        with safe_open(path, framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118  it is not a mapping
                yield name, stored.get_tensor(name)
