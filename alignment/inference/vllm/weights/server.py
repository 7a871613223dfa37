"""Weights into vLLM servers, over vLLM's own routes: pause, begin, blocks, finish with a version, resume.

All servers take a block at the same time, and a block is made once for all. Neighbours: inference/weights/transfer.py
(the protocol), inference/weights/blocks.py, inference/weights/carriers.py, receiver.py (the other end),
inference/vllm/server/fleet.py.
"""

from collections.abc import Iterable

import torch

from alignment.core.errors import EngineError
from alignment.inference.vllm.server.client import Json, ServerLost
from alignment.inference.vllm.server.fleet import Fleet
from alignment.inference.weights.blocks import filled
from alignment.inference.weights.carriers import Carrier, SharedMemory, Socket


class ServerTransfer:
    """Sends weights to all servers of a fleet that are alive, as `dtype`. Use `close` when done.

    way: `shm`, `tcp`, or `auto` for shm to servers that were started here and tcp to others. prefix: of version names.
    """

    def __init__(self, fleet: Fleet, way: str, dtype: str, prefix: str) -> None:
        self._fleet, self._dtype, self._prefix = fleet, getattr(torch, dtype), prefix
        self._version = 0
        started_here = all(server.launched is not None for server in fleet.servers)
        self._carrier: Carrier = (
            SharedMemory() if way == "shm" or (way == "auto" and started_here) else Socket(self._own_address())
        )
        fleet.everywhere("/init_weight_transfer_engine", {"init_info": {}}, "its first weights")

    @property
    def name(self) -> str:
        """What the servers call the version that they got last."""
        return f"{self._prefix}-{self._version}"

    def begin(self, version: int) -> None:
        """End what a call that was given up left behind, and get ready. A pause empties the prefix cache as well."""
        self._version = version
        self._everywhere("/pause?mode=abort")
        self._everywhere("/start_weight_update")

    def send(self, weights: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Send weights, in blocks."""
        for block in filled(weights, self._carrier, self._dtype):
            place = self._carrier.where(block)
            told: Json = {"number": block.number, "size": block.size, "table": block.table, **place}
            self._everywhere("/update_weights", {"update_info": told})

    def finish(self) -> int:
        """Make the weights the ones that are sampled from. Raises EngineError if a server names another version."""
        self._everywhere("/finish_weight_update", {"weight_version": self.name})
        self._everywhere("/resume")
        return self._version

    def close(self) -> None:
        """Free the memory that blocks were sent from."""
        self._carrier.close()

    def _everywhere(self, path: str, body: Json | None = None) -> None:
        self._fleet.everywhere(path, body, f"weights of version {self._version} ({path.partition('?')[0]})")

    def _own_address(self) -> str:
        for server in self._fleet.alive():
            try:
                return server.client.own_address()
            except ServerLost as error:
                self._fleet.lose(server, f"cannot be reached: {error}")
        raise EngineError("no engine worker can be reached")
