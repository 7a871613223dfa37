"""One verification process, as its parent sees it: started, given an item, listened to, ended.

The pool (__init__.py) schedules these; worker.py is what runs inside. The two sides exchange JSON lines over pipes: nothing that comes
from a model's output is ever unpickled or evaluated here.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

STARTUP_SECONDS = 120.0
READ_BYTES = 1 << 16


@dataclass(frozen=True)
class WorkerSettings:
    """What a process runs, and within which limits.

    `function`: its path `module:function`. `argument`: with one, the function is called with it when the process starts,
    and what it returns is called with the items. `cpu_seconds`: of CPU time an item may use; 0 for no limit.
    """

    function: str
    timeout_seconds: float
    cpu_seconds: float = 0.0
    memory_mib: int = 2048
    argument: str = ""

    @property
    def arguments(self) -> list[str]:
        """The command line of worker.py."""
        return [self.function, *map(str, (self.timeout_seconds, self.cpu_seconds, self.memory_mib)), self.argument]


class WorkerProcess:
    """One process and what it is doing."""

    def __init__(self, settings: WorkerSettings) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rewards.pool.worker", *settings.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.ready = False
        self.index: int | None = None
        self.deadline: float | None = time.monotonic() + STARTUP_SECONDS
        self.judged = 0
        self.asked_to_stop = False
        self._received = bytearray()

    def send(self, index: int, item: Any, timeout_seconds: float) -> None:
        """Hand over one item. Raises BrokenPipeError when the process is gone."""
        assert self.process.stdin is not None  # noqa: S101  a pipe was asked for
        self.index, self.deadline = index, time.monotonic() + timeout_seconds
        self.asked_to_stop = False
        line = memoryview(json.dumps({"id": index, "item": item}).encode() + b"\n")
        while line:
            line = line[self.process.stdin.write(line) or 0 :]

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have arrived, or None when the process is gone."""
        assert self.process.stdout is not None  # noqa: S101  a pipe was asked for
        data = os.read(self.process.stdout.fileno(), READ_BYTES)
        if not data:
            return None
        *lines, rest = (self._received + data).split(b"\n")
        self._received = rest
        return [json.loads(line) for line in lines]

    def ask_to_stop(self, grace_seconds: float) -> None:
        """Ask the process to give up its item, and allow it so long to say so."""
        self.asked_to_stop, self.deadline = True, time.monotonic() + grace_seconds
        self.process.send_signal(signal.SIGPROF)

    def end(self) -> None:
        """Kill the process and wait for it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
