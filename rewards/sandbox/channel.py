"""The judge's end of what it speaks to a process over: bytes from a process that may lie, bounded in length and in time.

jail.py makes one for every program. Neither a program that does not read nor one that does not write holds up the judge.
"""

import select
import socket
import time
from collections import deque

from rewards.sandbox.inside import wire


class TimedOut(Exception):
    """Nothing came within the time limit."""


class OutputLimit(Exception):
    """More came than may come."""


class Channel:
    """The judge's end of a program's channel."""

    def __init__(self, connection: socket.socket, most_bytes: int) -> None:
        self.connection, self.most_bytes = connection, most_bytes
        self._received = bytearray()  # of a frame that has begun to arrive
        self._frames: deque[bytes] = deque()
        self._is_long = False

    def send(self, message: bytes, deadline: float) -> None:
        """Send a frame. A program that does not read is waited for until the deadline. Raises TimedOut."""
        view = memoryview(message)
        while view:
            try:
                view = view[self.connection.send(view, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                await_ready(self.connection, select.POLLOUT, deadline)
            except (BrokenPipeError, ConnectionResetError):
                return  # its end is found where a reply is awaited

    def receive(self, deadline: float) -> bytes | None:
        """The next frame; None when the channel has ended. Raises TimedOut and OutputLimit."""
        while not self._frames:
            if self._is_long:
                raise OutputLimit
            try:
                data = self.connection.recv(wire.READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                await_ready(self.connection, select.POLLIN, deadline)
                continue
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._received += data
            self._take_frames()
        return self._frames.popleft()

    def _take_frames(self) -> None:
        """All that has arrived whole, up to the first that is longer than one may be."""
        received, start = self._received, 0
        while len(received) >= start + wire.HEADER.size:
            begin = start + wire.HEADER.size
            (length,) = wire.HEADER.unpack_from(received, start)
            self._is_long = length > self.most_bytes
            if self._is_long or len(received) < begin + length:
                break
            start = begin + length
            self._frames.append(bytes(received[begin:start]))
        del received[:start]


def is_ready(connection: socket.socket, event: int, seconds: float) -> bool:
    """Whether a socket is ready within so many seconds."""
    waiting = select.poll()
    waiting.register(connection, event)
    return bool(waiting.poll(max(0.0, seconds) * 1000))


def await_ready(connection: socket.socket, event: int, deadline: float) -> None:
    """Wait until a socket is ready. Raises TimedOut."""
    if not is_ready(connection, event, deadline - time.monotonic()):
        raise TimedOut
