"""Starting the command line as a user does, and killing it at a chosen moment.

All commands of a test process that start others ask one process for forks, which has the libraries imported: importing
them takes more time than most of these commands. It is started with the first of them and ends with the tests.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from alignment.core.process import die_with_parent
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.forks.server import SHARED
from alignment.run.forks.start import IMPORTS
from alignment.run.process_environment import environment

FORKING = ("run", "evaluate", "budget", "compare", "processbench")  # commands that start processes


def alignment(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run `alignment ARGUMENTS` to its end."""
    command = [sys.executable, "-m", "alignment.cli", *map(str, arguments)]
    env = with_forks() if arguments[0] in FORKING else None
    return subprocess.run(command, capture_output=True, text=True, timeout=1500, env=env)


def with_forks() -> dict[str, str]:
    """The environment of these tests, and where to ask for a fork."""
    return {**os.environ, SHARED: str(_fork_server(os.environ.get("PYTHONPATH")))}


@cache
def _fork_server(_path: str | None) -> Path:
    """The socket of a process that forks, one for each path on which modules are looked for."""
    folder = tempfile.mkdtemp(prefix="alignment-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "socket"
    command = [sys.executable, "-m", "alignment.run.forks.server", "--listen", str(path), *IMPORTS, "vllm"]
    subprocess.Popen(
        command,
        env=environment(Hardware(), offline=True),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock that a fork could copy
    )
    while not path.exists():
        time.sleep(0.05)
    return path


def killed_when(reached: Callable[[], bool], *arguments: object) -> None:
    """Start `alignment ARGUMENTS` and SIGKILL it as soon as `reached` says so. Fails if it ends before that."""
    command = [sys.executable, "-m", "alignment.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=with_forks())
    until = time.monotonic() + 900
    while not reached():
        assert process.poll() is None, f"it ended with {process.returncode} before it could be killed"
        assert time.monotonic() < until, "it never came so far"
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def lines(path: Path) -> int:
    """How many lines a file has; 0 while it is not there."""
    return path.read_text(encoding="utf-8").count("\n") if path.exists() else 0
