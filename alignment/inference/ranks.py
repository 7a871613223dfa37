"""The ranks of a stage: what the first does for all, such as starting servers, and how all know how it went.

What they tell each other is JSON. Without torch.distributed there is one rank. Neighbours: vllm/server/pool.py and training/main.py (who ask).
"""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from alignment.core.errors import EngineError

Made = TypeVar("Made")


class Ranks:
    """This process among the ranks of its stage."""

    def __init__(self) -> None:
        self._several = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if self._several else 0
        self._count = torch.distributed.get_world_size() if self._several else 1

    @property
    def is_first(self) -> bool:
        """Whether this rank starts servers and sends weights."""
        return self.rank == 0

    def together(self) -> None:
        """Wait until every rank is here. Collective."""
        if self._several:
            torch.distributed.barrier()

    def in_turn(self, work: Callable[[], Made]) -> Made:
        """What this rank's work returns, one rank after another. Collective; a rank whose work fails raises after its turn."""
        made: list[Made] = []
        failure: EngineError | None = None
        for rank in range(self._count):
            if rank == self.rank:
                try:
                    made.append(work())
                except EngineError as error:
                    failure = error
            self.together()
        if failure is not None:
            raise failure
        return made[0]

    def from_first(self, work: Callable[[], Any]) -> Any:
        """What the first rank's work returns, as JSON knows it, on every rank. Collective.

        Raises EngineError on every rank where the first one's work does.
        """
        said, failure = [""], None
        if self.is_first:
            try:
                said = [json.dumps({"value": work()})]
            except EngineError as error:
                said, failure = [json.dumps({"error": str(error)})], error
        if self._several:
            torch.distributed.broadcast_object_list(said, src=0)
        if failure is not None:
            raise failure
        found = json.loads(said[0])
        if "error" in found:
            raise EngineError(f"rank 0: {found['error']}")
        return found["value"]
