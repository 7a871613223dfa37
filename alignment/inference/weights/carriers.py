"""How blocks of weights travel to servers: through memory that both map, or through a socket.

A carrier holds the bytes and says where a server finds them. Neighbours: blocks.py (what is in them), inference/vllm/weights/receiver.py (the other
end), inference/vllm/weights/server.py (who sends).
"""

import hmac
import mmap
import os
import secrets
import socketserver
import threading
from typing import Any, Protocol

import torch

from alignment.core.errors import EngineError
from alignment.inference.weights import blocks
from alignment.inference.weights.blocks import Block

NAME = "alignment-weights"  # of the shared memory, as /proc shows it


class Carrier(Protocol):
    """Memory for blocks (blocks.Memory), and the way to it."""

    def room(self, number: int, size: int) -> torch.Tensor:
        """As blocks.Memory."""
        ...

    def where(self, block: Block) -> dict[str, Any]:
        """What a server is told, so that it finds the bytes of a block that was filled; for receiver.BlockInfo."""
        ...

    def close(self) -> None:
        """Free the memory."""
        ...


class SharedMemory:
    """Anonymous shared memory (memfd_create). Servers of this machine open it by this process's id.

    It has no name in a file system: it needs no room in /dev/shm, and is gone with the last process that maps it.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, _Mapped] = {}

    def room(self, number: int, size: int) -> torch.Tensor:
        """As blocks.Memory."""
        held = self._blocks.get(number)
        if held is None or size > len(held.bytes_N):
            if held is not None:
                held.close()
            held = self._blocks[number] = _Mapped(max(blocks.BLOCK_BYTES, size))
        held.reserve(size)
        return held.bytes_N

    def where(self, block: Block) -> dict[str, Any]:
        """As Carrier."""
        return {"process": os.getpid(), "descriptor": self._blocks[block.number].descriptor}

    def close(self) -> None:
        """As Carrier."""
        for held in self._blocks.values():
            held.close()
        self._blocks = {}


class _Mapped:
    """One block of shared memory. Pages take memory once they are reserved."""

    def __init__(self, capacity: int) -> None:
        self.descriptor, self._reserved = os.memfd_create(NAME, os.MFD_CLOEXEC), 0
        os.ftruncate(self.descriptor, capacity)
        self._map = mmap.mmap(self.descriptor, capacity)
        self.bytes_N = torch.frombuffer(self._map, dtype=torch.uint8)

    def reserve(self, size: int) -> None:
        """Raises EngineError where the machine has no memory left, in place of a signal that kills the process."""
        if size > self._reserved:
            try:
                os.posix_fallocate(self.descriptor, self._reserved, size - self._reserved)
            except OSError as error:
                raise EngineError(
                    f"no memory for {size / 2**30:.1f} GiB of weights to share: {error.strerror}"
                ) from error
            self._reserved = size

    def close(self) -> None:
        del self.bytes_N
        try:
            self._map.close()
        except BufferError:
            pass  # a tensor still looks at it, and frees it when it goes
        os.close(self.descriptor)


class Socket:
    """Memory of this process, which servers read over TCP from an address of this machine, with a token."""

    def __init__(self, address: str) -> None:
        self._blocks: dict[int, torch.Tensor] = {}
        self._sizes: dict[int, int] = {}
        self._token = secrets.token_urlsafe(24)
        carrier = self

        class Answer(socketserver.StreamRequestHandler):
            """Sends one block to one server."""

            timeout = 60

            def handle(self) -> None:
                token, _, number = self.rfile.readline(200).decode("ascii", "replace").strip().partition(" ")
                if hmac.compare_digest(token.encode(), carrier._token.encode()) and number.isdigit():
                    self.request.sendall(carrier._bytes(int(number)))

        self._listener = socketserver.ThreadingTCPServer((address, 0), Answer)
        self._listener.daemon_threads = True
        threading.Thread(target=self._listener.serve_forever, args=(0.1,), daemon=True).start()

    def room(self, number: int, size: int) -> torch.Tensor:
        """As blocks.Memory."""
        if number not in self._blocks or size > len(self._blocks[number]):
            self._blocks[number] = torch.empty(max(blocks.BLOCK_BYTES, size), dtype=torch.uint8)
        self._sizes[number] = size
        return self._blocks[number]

    def where(self, block: Block) -> dict[str, Any]:
        """As Carrier."""
        host, port = self._listener.server_address[:2]
        return {"host": host, "port": port, "token": self._token}

    def close(self) -> None:
        """As Carrier."""
        self._listener.shutdown()
        self._listener.server_close()
        self._blocks = {}

    def _bytes(self, number: int) -> memoryview:
        return memoryview(self._blocks[number][: self._sizes[number]].numpy())
