"""Runs a process and shows its progress: a bar in a terminal, else a line per report.

Neighbours: processes.py (runs it), core/progress.py (how a process reports).
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from alignment.core.errors import StageFailed
from alignment.core.progress import as_line
from alignment.run.processes import Ended, Start, end_of_log, new_interpreter, run

SOCKETS = (
    "VLLM_RPC_BASE_PATH"  # vLLM's variable; without it they lie in the machine's temporary folder, each under a UUID
)


def watched(
    title: str,
    command: list[str],
    log: Path,
    console: Console,
    env: dict[str, str],
    on_tick: Callable[[], None] = lambda: None,
    start: Start = new_interpreter,
) -> Ended:
    """Run a command to its end with its output in a log and its progress on the console.

    on_tick is called as often; what it raises ends the command. vLLM's sockets lie in a folder that goes with the command,
    also where it is killed.
    """
    progress = log.with_suffix(".progress.jsonl")
    with TemporaryDirectory(prefix="alignment-") as sockets, Watch(progress, console, title) as watch:

        def tick() -> None:
            watch.tick()
            on_tick()

        return run(command, log=log, progress=progress, env={SOCKETS: sockets, **env}, on_tick=tick, start=start)


def refuse_failure(ended: Ended, title: str, log: Path) -> None:
    """Raise KeyboardInterrupt if the process was interrupted, StageFailed with its error message if it failed."""
    if ended.interrupted:
        raise KeyboardInterrupt
    if ended.exit_status:
        raise StageFailed(f"{title}: {ended.outcome} with exit status {ended.exit_status} ({log}):\n{end_of_log(log)}")


class Watch:
    """Follows a progress file. Use it as a context manager and call `tick` often."""

    def __init__(self, file: Path, console: Console, title: str) -> None:
        self._file, self._console, self._position = file, console, 0
        self._bar: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._title = title

    def __enter__(self) -> "Watch":
        self._file.unlink(missing_ok=True)
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                TextColumn("{task.fields[rest]}"), console=self._console, transient=True,
            )  # fmt: skip
            self._bar.start()
            self._tasks[""] = self._bar.add_task(self._title, total=None, rest="starting")
        else:
            self._console.print(f"{self._title} ...", markup=False, highlight=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tick()
        if self._bar is not None:
            self._bar.stop()

    def tick(self) -> None:
        """Show what was reported since the last call."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        whole, newline, _ = data.rpartition(b"\n")
        self._position += len(whole) + len(newline)
        for line in whole.split(b"\n") if whole else ():
            self._show(json.loads(line))

    def _show(self, event: dict[str, Any]) -> None:
        if self._bar is None:
            self._console.print(as_line(event), markup=False, highlight=False, soft_wrap=True)
            return
        work = event["work"]
        if work not in self._tasks:
            self._bar.update(self._tasks[""], visible=False)
            self._tasks[work] = self._bar.add_task(work, total=event["total"], rest="")
        rest = as_line(event).split("  ", 1)[-1]
        self._bar.update(self._tasks[work], completed=event["done"], rest=rest)
