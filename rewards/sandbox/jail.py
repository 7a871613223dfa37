"""One jail as the judge sees it: started, given a program at a time, listened to against the clock, ended.

backends/ says how it is made, inside/zygote.py is what runs in it, conduct.py drives it. Every program gets a channel
of its own (channel.py).
"""

import os
import select
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rewards.sandbox.backends import Backend
from rewards.sandbox.channel import Channel, OutputLimit, TimedOut, is_ready
from rewards.sandbox.inside import wire
from rewards.sandbox.policy import JailLost, Limits

STARTUP_SECONDS = 60.0
# To end and clean up after one program, on a busy machine.
ENDING_SECONDS = 15.0
LINGER_SECONDS = 0.25  # between a channel's end and the end of its process
_CREDENTIALS = struct.Struct("3i")
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONUTF8": "1",  # noqa: S108  the jail's own
    "PYTHONHASHSEED": "0",  # a program that depends on the order of a set is judged the same way every time
    "LD_BIND_NOW": "1",  # or every program looks up the interpreter's functions anew
    "MALLOC_ARENA_MAX": "1",  # or every thread reserves 64 MiB of the address space that is its limit
    "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Ending:
    """How a program's process ended: its exit code, or minus the signal; whether by our order; the CPU it used."""

    code: int
    ordered: bool
    cpu_seconds: float


class Jail:
    """A warm interpreter in isolation, for one program after the other. Used by one thread at a time."""

    def __init__(self, backend: Backend, limits: Limits, modules: Sequence[str] = ()) -> None:
        self.backend, self.limits, self.modules = backend, limits, modules
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
            command = self.backend.command(self.limits, theirs.fileno(), directory, self.modules)
            self._control = ours
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[theirs.fileno()],
                env=_ENVIRONMENT, cwd="/", start_new_session=True,
            )  # fmt: skip
            theirs.close()
            ready = self._hear(time.monotonic() + STARTUP_SECONDS, stopping)
            if ready != wire.READY:
                self.close()
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip().splitlines()
                raise JailLost(said[-1] if said else "it ended without a word")
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)  # its process is known now

    def _hear(self, deadline: float, stopping: Callable[[], bool] = lambda: False) -> bytes | None:
        """The zygote's next word; None when it is gone. Remembers its process, wherever that is in the tree."""
        assert self._control is not None  # noqa: S101  it was started
        was_reset = False
        while True:
            try:
                message, rights, _, _ = self._control.recvmsg(1 << 12, 256, socket.MSG_DONTWAIT)
                break
            except BlockingIOError:
                ready = is_ready(self._control, select.POLLIN, min(deadline - time.monotonic(), 0.5))
                if not ready and (time.monotonic() >= deadline or stopping()):
                    return None
            except ConnectionResetError:  # it ended with an order unread; Linux says so once, before its last word
                if was_reset:
                    return None
                was_reset = True
        for level, kind, data in rights:
            if self._zygote is None and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                process_id = _CREDENTIALS.unpack_from(data)[0]
                self._zygote = os.pidfd_open(process_id) if process_id else None
        return message or None

    def run(self, kind: bytes, cpu_seconds: int, output: int | None = None) -> Channel:
        """Fork a process of one of wire.py's kinds for one program and return its channel. Raises JailLost."""
        self.start()
        assert self._control is not None  # noqa: S101  it was started
        if self._running is not None:
            self._running.connection.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._running = Channel(ours, self.limits.output_bytes)
        try:
            with theirs:
                descriptors = [theirs.fileno()] if output is None else [theirs.fileno(), output]
                socket.send_fds(self._control, [wire.ORDER.pack(kind, cpu_seconds)], descriptors)
        except OSError as error:
            self.close()
            raise JailLost("the jail was gone before it could start a program") from error
        self.busy = True
        return self._running

    def give(self, channel: Channel, message: bytes, moment_seconds: float = 0.0) -> None:
        """Give a process what it reads first, and wait until it is confined: what it says from here on is a program's.

        `moment_seconds`: first wait so long at most for it to end by itself, as most do within some milliseconds. All it
        said can then be read at once, without being woken for each word. Raises JailLost.
        """
        assert self._control is not None  # noqa: S101  it was started
        deadline = time.monotonic() + STARTUP_SECONDS
        try:
            channel.send(message, deadline)
            if moment_seconds:
                is_ready(self._control, select.POLLIN, moment_seconds)
            confined = channel.receive(deadline)
        except (TimedOut, OutputLimit):
            confined = None
        if confined is None:
            self.close()
            raise JailLost("the program's process ended before it was confined")

    def end(self, linger_seconds: float = 0.0) -> Ending:
        """End the program now, or after giving it time to end by itself, and all that it left. Raises JailLost."""
        assert self._control is not None  # noqa: S101  it was started
        said = None
        try:
            if not is_ready(self._control, select.POLLIN, linger_seconds):
                self._control.send(wire.ORDER.pack(wire.END, 0))
            said = self._hear(time.monotonic() + ENDING_SECONDS)
        except OSError:
            said = None
        self.busy = False
        if said is None:
            self.close()
            raise JailLost("the jail was gone before its program had ended")
        code, ordered, retired, cpu_seconds = wire.ENDING.unpack(said)
        if retired:
            self.close()
        return Ending(code, ordered, cpu_seconds)

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
