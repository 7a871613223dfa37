"""Another machine of a run: runs its ranks of each stage that the first machine starts, until the run is over.

Neighbours: first.py (the first machine), records/machines.py (how they talk), run/processes.py (starts the ranks).
"""

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from alignment.core.entry import reported_in
from alignment.core.errors import AlignmentError, ArtifactError, OptionError, StageFailed
from alignment.core.machine import versions
from alignment.records.machines import FirstMachine, OtherMachine
from alignment.run.launcher import Placement
from alignment.run.machines.first import BEAT_SECONDS, FOLDER, PATIENCE_SECONDS, first_file, other_file
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.run.processes import Ended, end_of_log, run, training_command

APPEAR_SECONDS = 120.0  # for the first machine to be seen alive

Start = Callable[
    [FirstMachine, Placement], tuple[list[str], dict[str, str]]
]  # the command of this machine's ranks, its environment


class Abandoned(Exception):
    """What the ranks of this machine were started for has ended."""


@dataclass
class Joined:
    """This machine among those of a run."""

    run: Path
    machine: int  # from 1
    start: Start
    console: Console
    appear_seconds: float = APPEAR_SECONDS
    patience_seconds: float = PATIENCE_SECONDS
    _said: OtherMachine = field(init=False)
    _beat_of_first: tuple[int, float] = field(default=(-1, 0.0), init=False)
    _written: float = field(default=0.0, init=False)

    def go(self) -> None:
        """Run every stage with the first machine. Raises AlignmentError if it is not there, is another, or is not heard of."""
        first = self._appeared()
        self._refuse(first)
        self._say(OtherMachine(first.token, socket.gethostname()))
        self.console.print(f"joined {self.run} as machine {self.machine} of {first.machines}", highlight=False)
        while first.state != "over":
            if first.token != self._said.token:  # started again: a resumed run
                self._refuse(first)
                self._say(OtherMachine(first.token, socket.gethostname()))
            if first.state == "stage" and first.start > self._said.start:
                self._stage(first)
            time.sleep(0.2)
            first = self._look()
        self.console.print("the run is over", highlight=False)

    def _appeared(self) -> FirstMachine:
        """The first machine, once it is seen alive: its file may be one of an earlier run."""
        file, until, before = first_file(self.run), time.monotonic() + self.appear_seconds, dict[str, int]()
        while time.monotonic() < until:
            try:
                first = FirstMachine.read(file)
            except ArtifactError:
                first = None
            if first is not None and first.state != "over" and before.setdefault(first.token, first.beat) != first.beat:
                return first
            time.sleep(0.2)
        raise StageFailed(
            f"{file} {'is not there' if not before else 'does not change'} after {self.appear_seconds:.0f} s: `alignment launch` has "
            "to run on the first machine, and the run directory has to be on a file system that both share, under this path"
        )

    def _refuse(self, first: FirstMachine) -> None:
        """Raises OptionError for a machine that is none of this run, and StageFailed for other packages than the first's."""
        if not 1 <= self.machine < first.machines:
            raise OptionError(
                f"--machine {self.machine}: this run has machines 1 to {first.machines - 1} beside the first"
            )
        own = versions()
        other = [
            f"{name} {own.get(name, 'missing')} (there {first.versions.get(name, 'missing')})"
            for name in sorted({*first.versions, *own})
            if own.get(name) != first.versions.get(name)
        ]
        if other:
            raise StageFailed(
                f"this machine has other packages than the first: {', '.join(other)}; ranks would not compute the same. Install "
                "the same ones"
            )

    def _stage(self, first: FirstMachine) -> None:
        """Run this machine's ranks of a stage to their end, or until the first machine ends it."""
        self._say(replace(self._said, start=first.start, state="running", words=""))
        try:
            command, environment = self.start(first, Placement(self.machine, first.machines, first.address, first.port))
        except AlignmentError as error:
            self._say(replace(self._said, state="failed", words=str(error)))
            raise
        log = self.run / FOLDER / f"{self.machine}-{first.start:02d}.log"
        log.unlink(missing_ok=True)  # of an earlier launch
        self.console.print(f"{first.stage} ...", highlight=False)

        def watch() -> None:
            now = self._look()
            if (now.token, now.start, now.state) != (first.token, first.start, "stage"):
                raise Abandoned

        try:
            ended = run(command, log=log, progress=log.with_suffix(".progress.jsonl"), env=environment, on_tick=watch)
        except Abandoned:  # perhaps for an error of this machine's ranks, which the others lost
            failed = reported_in(log.read_text(encoding="utf-8", errors="replace"))
            ended = Ended(1 if failed else 0, False, 0.0)
        if ended.interrupted:
            self._say(replace(self._said, state="failed", words="`alignment join` was interrupted"))
            raise KeyboardInterrupt
        words = end_of_log(log) if ended.exit_status else ""
        self._say(replace(self._said, state="failed" if ended.exit_status else "finished", words=words))
        self.console.print(
            f"{first.stage}: {ended.outcome}{f': {words}' if words else ''}", highlight=False, markup=False
        )

    def _look(self) -> FirstMachine:
        """What the first machine says now. Raises StageFailed if it has not been heard of for patience_seconds."""
        now = time.monotonic()
        if now - self._written > BEAT_SECONDS:
            self._say(self._said)
        first = FirstMachine.read(first_file(self.run))
        last, since = self._beat_of_first
        if first.beat != last:
            self._beat_of_first = (first.beat, now)
        elif now - since > self.patience_seconds:
            raise StageFailed(
                f"the first machine has not been heard of for {now - since:.0f} s: it was ended, or does not reach {self.run}. Run "
                "`alignment launch` there again, and this command here"
            )
        return first

    def _say(self, said: OtherMachine) -> None:
        self._said = replace(said, beat=said.beat + 1)
        self._said.write(other_file(self.run, self.machine))
        self._written = time.monotonic()


def ranks_of(run_directory: Path) -> Start:
    """Starts this machine's ranks of a stage by the launcher, as the run's own copy of the recipe says."""

    def start(first: FirstMachine, place: Placement) -> tuple[list[str], dict[str, str]]:
        recipe = run_directory / "recipe.yaml"
        hardware = RunPlan.load(recipe, [], run_directory).recipe.hardware
        arguments = [str(recipe), "--stage", str(first.stage), "--run", str(run_directory)]
        env: Mapping[str, str] = environment(hardware, offline=first.offline, place=place)
        return training_command(hardware, arguments, place), dict(env)

    return start
