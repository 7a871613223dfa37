"""How an engine takes the trainer's weights: begin, send as often as it takes, finish.

The tensors come under their checkpoint names, whole, and one after another, so that sharded weights need never be held
together. Neighbours: inference/vllm/weights/in_process.py (into an engine of this process), sync_check.py (proof that they arrive).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class WeightTransfer(Protocol):
    """One way for weights into an engine. Between `begin` and `finish` the engine samples nothing."""

    def begin(self, version: int) -> None:
        """Get ready to take the weights of a version."""
        ...

    def send(self, weights: "Iterable[tuple[str, torch.Tensor]]") -> None:
        """Take some of the weights, by checkpoint name. Raises EngineError for one that the engine does not have."""
        ...

    def finish(self) -> int:
        """Make the weights the ones that are sampled from; returns their version."""
        ...


def transferred(transfer: WeightTransfer, weights: "Iterable[tuple[str, torch.Tensor]]", version: int) -> int:
    """Send all weights as one version; returns the version that the engine has then."""
    transfer.begin(version)
    transfer.send(weights)
    return transfer.finish()
