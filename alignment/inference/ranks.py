"""The ranks of a stage: what the first does for all, such as starting servers, and how all know how it went.

What one tells all is JSON. Without torch.distributed there is one rank. Neighbours: vllm/server/pool.py, training/main.py and
training/rl/rollouts.py (who ask).
"""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self, TypeVar

import torch

from alignment.core.errors import EngineError

Made = TypeVar("Made")


class Ranks:
    """This process among the ranks of its stage. group: of torch.distributed, the default one where it is None."""

    def __init__(self, group: Any = None) -> None:
        self._several = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if self._several else 0
        self.count = torch.distributed.get_world_size() if self._several else 1
        self._group = group

    @classmethod
    def of_a_thread(cls, timeout_minutes: float) -> Self:
        """The ranks with a group of their own, in which a thread may talk while the trainer talks in the default one. Collective."""
        if cls().count == 1:
            return cls()
        return cls(torch.distributed.new_group(backend="gloo", timeout=timedelta(minutes=timeout_minutes)))

    @property
    def is_first(self) -> bool:
        """Whether this rank starts servers and sends weights."""
        return self.rank == 0

    def together(self) -> None:
        """Wait until every rank is here. Collective."""
        if self._several:
            torch.distributed.barrier(group=self._group)

    def gathered(self, value: Made) -> list[Made]:
        """Every rank's value, in the order of ranks; these are processes of this stage. Collective."""
        if not self._several:
            return [value]
        found: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(found, value, group=self._group)
        return found

    def in_turn(self, work: Callable[[], Made]) -> Made:
        """What this rank's work returns, one rank after another. Collective; a rank whose work fails raises after its turn."""
        made: list[Made] = []
        failure: EngineError | None = None
        for rank in range(self.count):
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
            torch.distributed.broadcast_object_list(said, src=0, group=self._group)
        if failure is not None:
            raise failure
        found = json.loads(said[0])
        if "error" in found:
            raise EngineError(f"rank 0: {found['error']}")
        return found["value"]
