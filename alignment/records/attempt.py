"""The attempts of a stage: each start of its process leaves attempts/NN.log and attempts/NN.json.

run/runner.py opens and closes them; the stage's process (run/stage.py) adds the step it resumed from.
"""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from alignment.records.file_record import FileRecord
from alignment.records.run_folder import StageFolder

Outcome = Literal["finished", "failed", "killed", "interrupted"]


@dataclass(frozen=True)
class Attempt(FileRecord):
    """One start of a stage's process. Written when it starts, and again when it has ended."""

    started: Annotated[str, "when the process started, ISO 8601 in UTC"]
    outcome: Annotated[
        Outcome | None, "how it ended; null while it runs, and where it was ended together with `alignment run`"
    ] = None
    seconds: Annotated[float | None, "wall time from start to end"] = None
    exit_status: Annotated[int | None, "the exit status of the process, below zero for a signal"] = None
    resumed_from_step: Annotated[int | None, "the optimizer step of the checkpoint it resumed from; 0 without one, null where nothing is trained"] = None  # fmt: skip


def attempt_file(folder: StageFolder, number: int) -> Path:
    """Path of an attempt's record."""
    return folder.path / "attempts" / f"{number:02d}.json"


def attempts(folder: StageFolder) -> dict[int, Attempt]:
    """The recorded attempts of a stage by number, in order. Raises ArtifactError for a damaged one."""
    paths = sorted((folder.path / "attempts").glob("[0-9]*.json"), key=lambda path: int(path.stem))
    return {int(path.stem): Attempt.read(path) for path in paths}


def seconds_spent(folder: StageFolder) -> float:
    """Wall time, in seconds, of a stage's finished attempts."""
    return sum(one.seconds or 0.0 for one in attempts(folder).values())


def next_attempt(folder: StageFolder) -> int:
    """The number of the next attempt, counted from 1."""
    made = [path for form in ("log", "json") for path in (folder.path / "attempts").glob(f"[0-9]*.{form}")]
    return 1 + max((int(path.stem) for path in made), default=0)


def open_attempt(folder: StageFolder, number: int, started: float) -> None:
    """Record that an attempt has started, at a time in seconds since 1970."""
    Attempt(datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds")).write(attempt_file(folder, number))


def close_attempt(folder: StageFolder, number: int, started: float, outcome: Outcome, exit_status: int) -> None:
    """Record how an attempt ended; what its process recorded stays."""
    found = Attempt.read(attempt_file(folder, number))
    seconds = round(time.time() - started, 1)
    replace(found, outcome=outcome, seconds=seconds, exit_status=exit_status).write(attempt_file(folder, number))


def record_resumption(folder: StageFolder, step: int) -> None:
    """Record the step from which the current attempt resumes; a stage started by hand has no attempt."""
    running = [number for number, one in attempts(folder).items() if one.outcome is None]
    if running:
        path = attempt_file(folder, running[-1])
        replace(Attempt.read(path), resumed_from_step=step).write(path)
