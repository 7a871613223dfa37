"""Starts and kills the servers of guessing_double.py, guessing_gym.py and guessing_http.py, and the packages' own: guessing_openenv.py, counting_nemo.py."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from installed import NEMO_GYM, OPENENV, python_with

SERVERS = ["double", pytest.param("openenv", marks=pytest.mark.long)]  # the package's own is installed first
OWN = {"openenv": ("guessing_openenv.py", OPENENV), "nemo": ("counting_nemo.py", NEMO_GYM)}
PATIENCE_SECONDS = 60.0


@dataclass
class Server:
    """A server in a process of its own."""

    url: str
    command: list[str]
    process: "subprocess.Popen[bytes]"
    deaths: int = 0  # after which it was started again

    def kill(self) -> None:
        """As a machine that is lost would."""
        self.process.kill()
        self.process.wait()


@contextmanager
def server(which: str = "double", sessions: int = 8, *arguments: str) -> Iterator[Server]:
    """A server that answers GET /health. Skips the test where it needs a package that cannot be installed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name, package = OWN.get(which, (f"guessing_{which}.py", None))
    python = sys.executable if package is None else python_with(package)
    command = [python, str(Path(__file__).with_name(name)), str(port), str(sessions), *arguments]
    process = subprocess.Popen(command)
    found = Server(f"http://127.0.0.1:{port}", command, process)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(found.url):
            assert process.poll() is None and time.monotonic() < deadline, "the server did not start"
            time.sleep(0.05)
        yield found
    finally:
        found.kill()


@contextmanager
def kept_up(one: Server) -> Iterator[Server]:
    """Starts the server again, at the same address, whenever it has ended."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            if one.process.poll() is not None:
                one.deaths, one.process = one.deaths + 1, subprocess.Popen(one.command)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield one
    finally:
        done.set()
        watching.join()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def next_guess(text: str) -> int:
    """Halving between 0 and 15, by what was guessed and answered so far."""
    low, high = 0, 15
    for guess, said in re.findall(r'"(?:guess|number)": (\d+).*?(higher|lower)', text, re.DOTALL):
        low, high = (int(guess) + 1, high) if said == "higher" else (low, int(guess) - 1)
    return (low + high) // 2
