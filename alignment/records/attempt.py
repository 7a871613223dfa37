"""The attempts of a stage: each start of its process leaves attempts/NN.log and, when it has ended, NN.json.

run/runner.py records them, run/stage.py adds up their time (docs/run-directory.md).
"""

import time
from datetime import UTC, datetime

from alignment.core.files import read_json, write_json
from alignment.records.run_folder import StageFolder


def seconds_spent(folder: StageFolder) -> float:
    """Wall time of a stage's earlier attempts."""
    return sum(read_json(path).get("seconds", 0.0) for path in (folder.path / "attempts").glob("*.json"))


def record_attempt(folder: StageFolder, number: int, started: float, outcome: str, exit_status: int) -> None:
    """Write attempts/NN.json."""
    facts = {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - started, 1),
        "outcome": outcome,
        "exit_status": exit_status,
    }
    write_json(folder.path / "attempts" / f"{number:02d}.json", facts)


def next_attempt(folder: StageFolder) -> int:
    """The number of the next attempt, counted from 1."""
    return 1 + max((int(path.stem) for path in (folder.path / "attempts").glob("[0-9]*.log")), default=0)
