"""Weights as blocks: a table of tensors (name, dtype, shape, place) and their bytes, one after another.

The table travels as JSON, the bytes through shared memory or a socket; nothing is pickled. Neighbours: inference/vllm/weights/server.py (sends
blocks), carriers.py (how the bytes travel), inference/vllm/weights/receiver.py (reads them inside a server).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import torch

BLOCK_BYTES = 1 << 30  # that a block holds at most, unless one tensor alone is larger
ALIGNMENT = 64
Entry = tuple[str, str, list[int], int]  # name, dtype, shape, first byte


@dataclass(frozen=True)
class Block:
    """A block that was filled: its number within a version, its tensors, and how many bytes they take."""

    number: int
    table: list[Entry]
    size: int


class Memory(Protocol):
    """Where the bytes of blocks lie. A block's memory is used again for the same block of the next version."""

    def room(self, number: int, size: int) -> torch.Tensor:
        """The memory of a block, (bytes,) of uint8, of which so many may be written. Raises EngineError without room."""
        ...


def filled(weights: Iterable[tuple[str, torch.Tensor]], memory: Memory, dtype: torch.dtype) -> Iterator[Block]:
    """Copy weights into blocks, each yielded as soon as it is full. Floating-point tensors become `dtype`.

    Each tensor is copied before the next is asked for: a gathered shard is gone by then.
    """
    number, table, size = 0, list[Entry](), 0
    for name, tensor in weights:
        chosen = dtype if tensor.is_floating_point() else tensor.dtype
        first, length = -(-size // ALIGNMENT) * ALIGNMENT, tensor.numel() * chosen.itemsize
        if table and first + length > BLOCK_BYTES:
            yield Block(number, table, size)
            number, table, first = number + 1, [], 0
        size = first + length
        place = memory.room(number, size)[first:size].view(chosen).view(tensor.shape)
        place.copy_(tensor.detach())
        table.append((name, str(chosen).removeprefix("torch."), list(tensor.shape), first))
    if table:
        yield Block(number, table, size)


def tensors(table: Iterable[Sequence[Any]], bytes_N: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a block, as views of its bytes. Raises ValueError for a table that does not fit them."""
    for name, dtype, shape, first in table:
        chosen = getattr(torch, str(dtype), None)
        if not isinstance(chosen, torch.dtype):
            raise ValueError(f"{name}: there is no dtype {dtype!r}")
        last = first + prod(shape) * chosen.itemsize
        if not 0 <= first <= last <= len(bytes_N):
            raise ValueError(f"{name}: bytes {first} to {last} of a block of {len(bytes_N)}")
        yield name, bytes_N[first:last].view(chosen).view(shape)
