"""A table of programs that try to get out, to be rewarded for nothing, to take everything, or to stay.

Every one defines `attempt`, which returns True (or the expected text) if the attack succeeds; the row expects just that.
So a score above zero is a hole, and no score is a program that talked its way out of being judged. test_attacks.py runs
the table, and `python attacks.py` prints what came of it, for a second run as another user.
"""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attacks_denial import DENIAL
from attacks_escape import ESCAPE
from attacks_forgery import FORGERY

from rewards import Rollout
from rewards.kinds.python_tests.verifier import PythonTests

TIMEOUT_SECONDS = 1.0
AT_ONCE = 6
SECRET = "expected-7f3a9c"
TABLE: dict[str, Any] = {**ESCAPE, **FORGERY, **DENIAL}

# For programs that need system calls which the standard library does not have.
PREFIX = """
import ctypes, os, platform, signal, socket, sys, time
def syscall(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
X86 = platform.machine() == "x86_64"
"""


@dataclass(frozen=True)
class Result:
    """What came of one attack."""

    name: str
    score: float | None
    reason: str
    detail: str
    seconds: float


class Bait:
    """Things outside the jail that an attack tries to reach: a file, a port, sockets, a process, a variable."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "bait.txt"
        self.file.write_text(SECRET)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(directory / "bait.socket"))
        self.unix.listen()
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind(f"\0bait-{os.getpid()}")
        self.abstract.listen()
        os.environ["BAIT"] = SECRET
        self.names = {
            "FILE": str(self.file), "PORT": self.tcp.getsockname()[1], "UNIX": str(directory / "bait.socket"),
            "ABSTRACT": f"\0bait-{os.getpid()}", "HOST": os.getpid(),
        }  # fmt: skip

    def close(self) -> None:
        for one in (self.tcp, self.unix, self.abstract):
            one.close()
        del os.environ["BAIT"]

    def program(self, attack: str) -> str:
        bound = "".join(f"{name} = {value!r}\n" for name, value in self.names.items())
        return f"```python\n{PREFIX}{bound}{attack}\n```"


def rollout(bait: Bait, attack: Any) -> Rollout:
    """A row that an attack passes if it succeeds: `attempt()` returns True or the secret."""
    text, tests = attack if isinstance(attack, tuple) else (attack, None)
    wants_secret = "SECRET" in text
    expected = SECRET if wants_secret else True
    tests = tests or {"form": "calls", "entry_point": "attempt", "calls": [[]], "outputs": [expected]}
    return Rollout("", bait.program(text), columns={"tests": tests})


def run(verifier: PythonTests, names: list[str], bait: Bait) -> list[Result]:
    """Every attack by itself, several at a time: most of them wait."""

    def one(name: str) -> Result:
        started = time.monotonic()
        (verdict,) = verifier.judge([rollout(bait, TABLE[name])])
        seconds = time.monotonic() - started
        return Result(name, verdict.score, verdict.reason, str(verdict.evidence.get("detail")), seconds)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, names))


def run_all(isolation: str, names: list[str]) -> list[Result]:
    with tempfile.TemporaryDirectory() as directory:
        bait = Bait(Path(directory))
        verifier = PythonTests(timeout_seconds=TIMEOUT_SECONDS, memory_mib=256, workers=AT_ONCE, isolation=isolation)
        try:
            verifier.judge([Rollout("", "```python\nx = 1\n```", columns=rollout(bait, "").columns)] * 8)
            results = run(verifier, names, bait)
            assert bait.file.read_text() == SECRET
            return results
        finally:
            verifier.close()
            bait.close()


def left_behind(before: set[str], seconds: float = 5.0) -> set[str]:
    """Processes and mounts that are there now and were not before; waits for those that are just ending."""
    end = time.monotonic() + seconds
    while (new := world() - before) and time.monotonic() < end:
        time.sleep(0.05)
    return new


def world() -> set[str]:
    """This process's descendants, its mounts, its descriptors and its threads."""
    children = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"inside.zygote" in command or b"inside.launcher" in command:
                children.add(f"process {entry.name}")
    mounts = set(Path("/proc/self/mountinfo").read_text().splitlines())
    descriptors = {f"descriptors {len(os.listdir('/proc/self/fd'))}"}
    jails = {f"directory {one}" for one in Path(tempfile.gettempdir()).glob("jail-*")}
    threads = {f"thread {one.name}" for one in threading.enumerate()}
    return children | mounts | descriptors | jails | threads


if __name__ == "__main__":
    at_first = world()
    chosen = ESCAPE if sys.argv[2:] == ["escape"] else TABLE
    found = [asdict(result) for result in run_all(sys.argv[1], list(chosen))]
    print(json.dumps({"results": found, "left": sorted(left_behind(at_first))}))
