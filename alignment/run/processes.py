"""Starts the processes of stages and evaluations, follows them, and ends the whole process tree.

Neighbours: process_environment.py (the environment they need), runner.py (starts them), watch.py (shows their progress).
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alignment.core.entry import reported_in
from alignment.core.errors import StageFailed
from alignment.core.process import die_with_parent
from alignment.core.progress import PROGRESS_FILE
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.attempt import Outcome
from alignment.run.launcher import LAUNCHER, Placement, launcher_config
from alignment.run.process_environment import environment

GRACE_SECONDS = 10.0
SMALL_BYTES = 20_000_000  # of weights, up to which a product of matrices takes no longer than waking a thread
LOG_LINES_SHOWN = 25


@dataclass(frozen=True)
class Ended:
    """How a process ended: exit status (negative: the signal that killed it), and wall time in seconds."""

    exit_status: int
    interrupted: bool
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """One word: interrupted, finished, killed or failed."""
        if self.interrupted:
            return "interrupted"
        return "finished" if self.exit_status == 0 else "killed" if self.exit_status < 0 else "failed"


def training_command(hardware: Hardware, arguments: Sequence[str], place: Placement | None = None) -> list[str]:
    """`accelerate launch ... -m alignment.run.stage ARGUMENTS`, for the ranks of this machine."""
    config = launcher_config(hardware)
    launcher = [sys.executable, "-m", LAUNCHER, "--config_file", str(config.path)]
    # Runs side by side on one machine would meet at accelerate's own port.
    launcher += place.flags(config) if place is not None else ["--main_process_port", "0"]
    # --quiet: no traceback of the launcher after a process's own error message.
    processes = ["--quiet", "--num_processes", str(hardware.processes)]
    return [*launcher, *processes, "-m", "alignment.run.stage", *arguments]


class Started(Protocol):
    """A process that was started, the leader of a session of its own: the part of `subprocess.Popen` that is used."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def poll(self) -> int | None:
        """Its exit status, negative for the signal that killed it; None while it runs."""
        ...


Start = Callable[[Sequence[str], dict[str, str], Path], Started]  # (command, environment, log that output is added to)


def new_interpreter(command: Sequence[str], env: dict[str, str], log: Path) -> Started:
    """Start a command as a process that ends with this one."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock that a fork could copy
        )


def run(
    command: Sequence[str],
    *,
    log: Path,
    progress: Path,
    env: dict[str, str],
    on_tick: Callable[[], None],
    start: Start = new_interpreter,
) -> Ended:
    """Run a command to its end with its output in a log; on Ctrl-C or SIGTERM, end its whole process tree.

    on_tick is called about five times a second, to show progress. The tree ends with this process even if that is killed,
    so that a resumed run never meets a process of the run before.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    previous = signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        process = start(command, {**env, PROGRESS_FILE: str(progress)}, log)
        interrupted = False
        try:
            while process.poll() is None:
                on_tick()
                time.sleep(0.2)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            end_tree(process)  # also its children, if it has ended
    finally:
        signal.signal(signal.SIGTERM, previous)
    on_tick()
    return Ended(process.poll() or 0, interrupted, time.monotonic() - began)  # it has ended, or end_tree had raised


def end_of_log(log: Path) -> str:
    """A failed process's own error message, else the last lines of its log."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return reported_in(text) or "\n".join(text.splitlines()[-LOG_LINES_SHOWN:])


def end_tree(process: Started) -> None:
    """Send SIGTERM to a process group, and SIGKILL after GRACE_SECONDS. Raises StageFailed if the process survives."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            return
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until and _group_lives(process):
            time.sleep(0.05)
    if process.poll() is None:
        raise StageFailed(
            f"process {process.pid} does not end even when killed; it may be waiting for a device or a disk"
        )


def _group_lives(process: Started) -> bool:
    process.poll()  # reaps the leader, which would otherwise count as living
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def _raise_interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # `python -m alignment.run.processes COMMAND ...`: run any command in the environment of a stage's process.
    os.execvpe(sys.argv[1], sys.argv[1:], environment(Hardware(), offline=False))  # noqa: S606  no shell is meant
