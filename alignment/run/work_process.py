"""Runs a module of this project on a work file, in a process of its own whose progress is shown: what commands measure with.

Neighbours: watch.py (shows progress), run/forks/start.py (starts it), commands/ (evaluate, budget, compare,
processbench).
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from alignment.core.console import open_console
from alignment.recipe.blocks.hardware import Hardware
from alignment.records.file_record import FileRecord
from alignment.run.forks.start import Forks
from alignment.run.process_environment import environment
from alignment.run.watch import refuse_failure, watched


def run_work(
    work: FileRecord,
    module: str,
    title: str,
    log: Path,
    hardware: Hardware,
    *,
    offline: bool,
    more: Sequence[str] = (),
) -> None:
    """`python -m MODULE WORK MORE...`, with its output in a log; what an earlier process wrote there is gone.

    Raises StageFailed with its error, and KeyboardInterrupt if it was interrupted.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)  # what an earlier process said must not pass for this one's
    with TemporaryDirectory() as scratch, closing(Forks(own=False)) as forks:
        file = Path(scratch) / "work.json"
        work.write(file)
        command, env = [sys.executable, "-m", module, str(file), *more], environment(hardware, offline=offline)
        refuse_failure(watched(title, command, log, open_console(stderr=True), env, start=forks.start), title, log)
