"""The bytes of blocks where they arrive: mapped from another process's memory, or read from its socket.

Neighbours: carriers.py (the other end), inference/vllm/weights/receiver.py (loads them into vLLM).
"""

import mmap
import os
import socket
import warnings

import torch

from alignment.inference.weights.carriers import NAME

SECONDS = 60.0  # that a sender may be silent


class Arrivals:
    """Blocks by number; the memory of each is kept for the next version."""

    def __init__(self) -> None:
        self._mapped: dict[int, tuple[tuple[int, int], torch.Tensor]] = {}
        self._read: dict[int, torch.Tensor] = {}

    def block(
        self,
        number: int,
        size: int,
        process: int = 0,
        descriptor: int = -1,
        host: str = "",
        port: int = 0,
        token: str = "",
    ) -> torch.Tensor:
        """The bytes of a block, (size,) of uint8, from where carriers.Carrier.where says that they are.

        Raises ValueError for a descriptor that is not such memory, and ConnectionError if a socket ends early.
        """
        if process:
            return self._shared(number, size, (process, descriptor))[:size]
        return self._sent(number, size, (host, port), f"{token} {number}\n".encode())[:size]

    def _shared(self, number: int, size: int, source: tuple[int, int]) -> torch.Tensor:
        held = self._mapped.get(number)
        if held is not None and held[0] == source and len(held[1]) >= size:
            return held[1]
        path = f"/proc/{source[0]:d}/fd/{source[1]:d}"
        if not os.readlink(path).startswith(f"/memfd:{NAME}"):
            raise ValueError(f"{path} is not memory that holds weights")
        opened = os.open(path, os.O_RDONLY)
        try:
            mapped = mmap.mmap(opened, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(opened)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tensors that must not be written to, which these are not
            bytes_N = torch.frombuffer(mapped, dtype=torch.uint8)
        self._mapped[number] = (source, bytes_N)
        return bytes_N

    def _sent(self, number: int, size: int, address: tuple[str, int], asked: bytes) -> torch.Tensor:
        held = self._read.get(number)
        if held is None or len(held) < size:
            held = self._read[number] = torch.empty(size, dtype=torch.uint8)
        room, got = memoryview(held[:size].numpy()), 0
        with socket.create_connection(address, SECONDS) as line:
            line.sendall(asked)
            while got < size:
                count = line.recv_into(room[got:])
                if not count:
                    raise ConnectionError(f"the sender ended after {got} of {size} bytes")
                got += count
        return held
