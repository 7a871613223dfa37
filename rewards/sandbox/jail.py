"""One jail as the judge sees it: started, given a program at a time, listened to against the clock, ended.

backends.py says how it is made, inside/zygote.py is what runs in it, conduct.py drives it. Every program gets a channel
of its own; what comes out of it is bytes from a process that may lie, bounded here in length and in time.
"""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from rewards.sandbox.backends import Backend
from rewards.sandbox.inside import wire
from rewards.sandbox.policy import JailLost, Limits

STARTUP_SECONDS = 60.0
ENDING_SECONDS = 5.0  # to end and clean up after one program
LINGER_SECONDS = 0.25  # between a channel's end and the end of its process
READ_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("3i")
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONUTF8": "1",  # noqa: S108  the jail's own
    "PYTHONHASHSEED": "0",  # a program that depends on the order of a set is judged the same way every time
    "MALLOC_ARENA_MAX": "1",  # or every thread reserves 64 MiB of the address space that is its limit
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip


class TimedOut(Exception):
    """Nothing came within the time limit."""


class OutputLimit(Exception):
    """More came than may come."""


@dataclass(frozen=True)
class Ending:
    """How a program's process ended: its exit code, or minus the signal; whether by our order; the CPU it used."""

    code: int
    ordered: bool
    cpu_seconds: float


class Channel:
    """The judge's end of a program's channel."""

    def __init__(self, connection: socket.socket, most_bytes: int) -> None:
        self.connection, self.most_bytes = connection, most_bytes
        self._received = bytearray()

    def send(self, message: bytes, deadline: float) -> None:
        """Send a frame. A program that does not read is waited for until the deadline. Raises TimedOut."""
        view = memoryview(message)
        while view:
            try:
                view = view[self.connection.send(view, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) :]
            except BlockingIOError:
                _await(self.connection, select.POLLOUT, deadline)
            except (BrokenPipeError, ConnectionResetError):
                return  # its end is found where a reply is awaited

    def receive(self, deadline: float) -> bytes | None:
        """The next frame; None when the channel has ended. Raises TimedOut and OutputLimit."""
        while True:
            if len(self._received) >= wire.HEADER.size:
                (size,) = wire.HEADER.unpack_from(self._received)
                if size > self.most_bytes:
                    raise OutputLimit
                if len(self._received) >= wire.HEADER.size + size:
                    payload = bytes(self._received[wire.HEADER.size : wire.HEADER.size + size])
                    del self._received[: wire.HEADER.size + size]
                    return payload
            try:
                data = self.connection.recv(READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                _await(self.connection, select.POLLIN, deadline)
                continue
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._received += data


class Jail:
    """A warm interpreter in isolation, for one program after the other. Used by one thread at a time."""

    def __init__(self, backend: Backend, limits: Limits, preloads_packages: bool = True) -> None:
        self.backend, self.limits, self.preloads_packages = backend, limits, preloads_packages
        self._process: subprocess.Popen[bytes] | None = None
        self._zygote: int | None = None
        self._control: socket.socket | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._running: Channel | None = None
        self.busy = False  # a program runs

    def start(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Start it if it does not run. Raises JailLost with what it said, when it does not come up."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._directory = tempfile.TemporaryDirectory(prefix="jail-") if self.backend.name == "none" else None
        directory = "" if self._directory is None else self._directory.name
        with tempfile.TemporaryFile() as errors, theirs:
            command = self.backend.command(self.limits, theirs.fileno(), directory, self.preloads_packages)
            self._control = ours
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT, cwd="/", start_new_session=True,
            )  # fmt: skip
            theirs.close()
            ready = self._hear(time.monotonic() + STARTUP_SECONDS, stopping)
            if ready is None:
                self.close()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines()
                raise JailLost(said[-1] if said else "it ended without a word")

    def _hear(self, deadline: float, stopping: Callable[[], bool] = lambda: False) -> dict[str, float] | None:
        """The zygote's next word; None when it is gone. Remembers its process, wherever that is in the tree."""
        assert self._control is not None  # noqa: S101  it was started
        while True:
            try:
                _await(self._control, select.POLLIN, min(deadline, time.monotonic() + 0.5))
                break
            except TimedOut:
                if time.monotonic() >= deadline or stopping():
                    return None
        try:
            message, rights, _, _ = self._control.recvmsg(1 << 12, 256)
        except ConnectionResetError:
            return None
        for level, kind, data in rights:
            if self._zygote is None and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                process_id = _CREDENTIALS.unpack_from(data)[0]
                self._zygote = os.pidfd_open(process_id) if process_id else None
        return json.loads(message) if message else None

    def run(self, role: str, cpu_seconds: int, output: int | None = None) -> Channel:
        """Fork a process for one program and return its channel. Raises JailLost."""
        self.start()
        assert self._control is not None  # noqa: S101  it was started
        if self._running is not None:
            self._running.connection.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        order = json.dumps({"run": role, "cpu_seconds": cpu_seconds}).encode()
        self._running = Channel(ours, self.limits.output_bytes)
        try:
            with theirs:
                descriptors = [theirs.fileno()] if output is None else [theirs.fileno(), output]
                socket.send_fds(self._control, [order], descriptors)
            confined = self._running.receive(time.monotonic() + STARTUP_SECONDS)
        except (OSError, TimedOut, OutputLimit) as error:
            self.close()
            raise JailLost("the jail was gone before it could start a program") from error
        if confined is None:
            self.close()
            raise JailLost("the program's process ended before it was confined")
        self.busy = True
        return self._running

    def end(self, linger_seconds: float = 0.0) -> Ending:
        """End the program now, or after giving it time to end by itself, and all that it left. Raises JailLost."""
        assert self._control is not None  # noqa: S101  it was started
        said = None
        try:
            if linger_seconds and select.select([self._control], [], [], linger_seconds)[0]:
                said = self._hear(time.monotonic())
            else:
                self._control.send(b'{"end": true}')
                said = self._hear(time.monotonic() + ENDING_SECONDS)
        except OSError:
            said = None
        self.busy = False
        if said is None:
            self.close()
            raise JailLost("the jail was gone before its program had ended")
        if said["retired"]:
            self.close()
        return Ending(int(said["code"]), bool(said["ordered"]), said["cpu_seconds"])

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The process that was started, which is the jail's monitor or its zygote."""
        return () if self._process is None else (self._process.pid,)

    def close(self) -> None:
        """End the jail and everything in it, and wait until it is gone."""
        if self._running is not None:
            self._running.connection.close()
            self._running = None
        if self._control is not None:
            self._control.close()
        if self._zygote is not None:
            try:
                signal.pidfd_send_signal(self._zygote, signal.SIGKILL)
            except ProcessLookupError:
                pass
            select.select([self._zygote], [], [], ENDING_SECONDS)
            os.close(self._zygote)
        if self._process is not None:
            if self._zygote is None:
                self._process.kill()
            try:
                self._process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._directory is not None:
            self._directory.cleanup()
        self._process = self._zygote = self._control = self._directory = None
        self.busy = False

    def forget(self) -> None:
        """In a forked child: let go of what is the parent's."""
        for held in (self._control, None if self._running is None else self._running.connection):
            if held is not None:
                held.close()
        if self._zygote is not None:
            os.close(self._zygote)
        if self._directory is not None:
            self._directory._finalizer.detach()  # type: ignore[attr-defined]  # noqa: SLF001  it is the parent's to remove
        self._process = self._zygote = self._control = self._directory = self._running = None


def _await(connection: socket.socket, event: int, deadline: float) -> None:
    """Wait until a socket is ready. Raises TimedOut."""
    waiting = select.poll()
    waiting.register(connection, event)
    if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimedOut
