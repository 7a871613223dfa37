"""Inside a vLLM server: takes blocks of weights, and loads them by vLLM's layer-wise reload.

vLLM makes `BlockReceiver` for the backend that vllm/server/plugin.py registers, and calls it for the routes
/start_weight_update, /update_weights and /finish_weight_update. Neighbours: inference/weights/arrivals.py (the bytes), inference/weights/blocks.py, server.py (the other end).
"""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)

from alignment.inference.vllm.weights.reload import begin_reload, finish_reload
from alignment.inference.weights.arrivals import Arrivals
from alignment.inference.weights.blocks import tensors


@dataclass
class NoInfo(WeightTransferInitInfo):
    """Nothing has to be agreed on beforehand."""


@dataclass
class BlockInfo(WeightTransferUpdateInfo):
    """One block: its table and size, and where its bytes are (carriers.Carrier.where)."""

    number: int
    size: int
    table: list[list[Any]] = field(default_factory=list)
    process: int = 0  # with `descriptor`: shared memory of a process of this machine
    descriptor: int = -1
    host: str = ""  # with `port` and `token`: a socket
    port: int = 0
    token: str = ""


class BlockReceiver(WeightTransferEngine[NoInfo, BlockInfo]):
    """vLLM's end of the transfer."""

    init_info_cls, update_info_cls = NoInfo, BlockInfo

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._arrivals = Arrivals()

    def init_transfer_engine(self, init_info: NoInfo) -> None:
        """Nothing to do."""

    def start_weight_update(self) -> None:
        """Take the model's layers back to the form of a checkpoint."""
        begin_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """Load one block. The base class waits for an accelerator afterwards, which a CPU is not."""
        self.receive_weights(self.parse_update_info(update_info))
        if torch.cuda.is_available():
            torch.accelerator.synchronize()

    def receive_weights(self, update_info: BlockInfo) -> None:
        """Load the tensors of a block by name."""
        bytes_N = self._arrivals.block(
            **{name: value for name, value in asdict(update_info).items() if name != "table"}
        )
        self.model.load_weights(tensors(update_info.table, bytes_N))

    def finish_weight_update(self) -> None:
        """Make the layers ready to compute."""
        finish_reload(self.model, self.model_config)

    def shutdown(self) -> None:
        """Drop the memory."""
        self._arrivals = Arrivals()
