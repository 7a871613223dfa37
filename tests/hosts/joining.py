"""`alignment join` with a command of a test's own in place of a stage's ranks: python joining.py RUN MACHINE SECONDS COMMAND..."""

import os
import sys
from pathlib import Path

from rich.console import Console

from alignment.core.entry import errors_in_words
from alignment.core.errors import StageFailed
from alignment.records.machines import FirstMachine
from alignment.run.launcher import Placement
from alignment.run.machines.join import Joined

NOT_STARTED = "a stage whose ranks cannot be started"


def main(run: Path, machine: int, seconds: float, command: list[str]) -> None:
    """Join a run whose stages are a command, with so many seconds of patience for everything."""

    def start(first: FirstMachine, place: Placement) -> tuple[list[str], dict[str, str]]:
        if first.stage == NOT_STARTED:
            raise StageFailed(command[-1])
        meets = {"STAGE": str(first.stage), "PLACE": f"{place.machine} of {place.machines} at {place.address}"}
        return command, {**os.environ, **meets}

    Joined(run, machine, start, Console(), appear_seconds=seconds, patience_seconds=seconds).go()


if __name__ == "__main__":
    with errors_in_words():
        main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
