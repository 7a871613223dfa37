"""Starting the command line as a user does, and killing it at a chosen moment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def alignment(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run `alignment ARGUMENTS` to its end."""
    command = [sys.executable, "-m", "alignment.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1500)


def killed_when(reached: Callable[[], bool], *arguments: object) -> None:
    """Start `alignment ARGUMENTS` and SIGKILL it as soon as `reached` says so. Fails if it ends before that."""
    command = [sys.executable, "-m", "alignment.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
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
