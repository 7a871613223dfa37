"""The machines of a run as the first one sees them: who has joined, which stage they run, and who has stopped answering.

They meet in the run directory, which all of them share, so that nothing listens on a network but the ranks of a stage.
Neighbours: join.py (the other machines), records/machines.py (the files), run/runner.py (starts stages),
commands/launch.py.
"""

import secrets
import shlex
import socket
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from alignment.core.errors import ArtifactError, StageFailed
from alignment.core.machine import versions
from alignment.records.machines import FirstMachine, OtherMachine
from alignment.run.launcher import Placement
from alignment.run.processes import Ended

FOLDER = "machines"  # of a run directory
BEAT_SECONDS = 1.0
PATIENCE_SECONDS = 120.0  # a network file system may show a change half a minute late
JOIN_SECONDS = 600.0
AFTERWORD_SECONDS = 5.0  # in which another machine may say why the ranks of this one failed


def first_file(run: Path) -> Path:
    """The file of the first machine."""
    return run / FOLDER / "0.json"


def other_file(run: Path, machine: int) -> Path:
    """The file of another machine."""
    return run / FOLDER / f"{machine}.json"


def join_line(run: Path, machine: int) -> str:
    """What has to be typed on another machine, whose directories and environment are those of this one."""
    command = [sys.executable, "-m", "alignment.cli", "join", str(run.absolute()), "--machine", str(machine)]
    return f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join(command)}"


@dataclass
class Machines:
    """The others of a run, and what this machine, the first, says to them."""

    run: Path
    names: tuple[str, ...]  # of all machines, this one first
    address: str  # where the others reach this one
    join_seconds: float = JOIN_SECONDS
    patience_seconds: float = PATIENCE_SECONDS
    _said: FirstMachine = field(init=False)
    _seen: dict[int, tuple[int, float]] = field(default_factory=dict, init=False)  # last beat, and when it came
    _written: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._said = FirstMachine(
            token=secrets.token_hex(8), machines=len(self.names), address=self.address, versions=versions()
        )
        self._say(self._said)

    @property
    def others(self) -> range:
        """The numbers of the other machines."""
        return range(1, len(self.names))

    def wait(self) -> None:
        """Wait until all have joined. Raises StageFailed that says what to type where, if one has not in join_seconds."""
        until = time.monotonic() + self.join_seconds
        while missing := [machine for machine in self.others if self._answer(machine) is None]:
            self._beat()
            if time.monotonic() > until:
                raise StageFailed("\n".join(map(self._absent, missing)))
            time.sleep(0.2)

    def _absent(self, machine: int) -> str:
        return (
            f"machine {machine} ({self.names[machine]}) has not joined in {self.join_seconds:.0f} s. Type there:\n"
            f"  {join_line(self.run, machine)}\nIts answer is awaited in {other_file(self.run, machine)}: the run directory has "
            "to be on a file system that all machines share, under the same path"
        )

    def begin(self, stage: str, *, offline: bool) -> Placement:
        """Ask all to run a stage; returns where the ranks meet, and that this is the first machine."""
        with socket.create_server((self.address, 0)) as free:
            port = free.getsockname()[1]
        self._seen = {}
        self._say(
            replace(self._said, state="stage", stage=stage, start=self._said.start + 1, port=port, offline=offline)
        )
        return Placement(0, len(self.names), self.address, port)

    def tick(self) -> None:
        """Say that this machine is alive, and look whether the others are; call it often.

        Raises StageFailed that names a machine whose ranks failed, or which has not been heard of for patience_seconds.
        """
        self._beat()
        for machine in self.others if self._said.state == "stage" else ():
            answer, now = self._answer(machine), time.monotonic()
            beat = -1 if answer is None else answer.beat
            last, since = self._seen.setdefault(machine, (beat, now))
            if beat != last:
                self._seen[machine] = (beat, now)
            elif now - since > self.patience_seconds:
                raise StageFailed(
                    f"{self._name(machine)} has not been heard of for {now - since:.0f} s, while stage {self._said.stage} waits for its "
                    f"ranks; look at it, and type there again:\n  {join_line(self.run, machine)}"
                )
            if answer is not None and (failure := self._failure(machine, answer)):
                raise StageFailed(failure)

    def end(self, ended: Ended | None) -> None:
        """A stage has ended here: the others end theirs. None: because another machine ended it.

        Raises StageFailed if it failed for what another machine says: where one rank fails, the others lose it.
        """
        self._say(replace(self._said, state="between"))
        until = time.monotonic() + AFTERWORD_SECONDS
        while ended is not None and ended.outcome in ("failed", "killed") and time.monotonic() < until:
            for machine in self.others:
                answer = self._answer(machine)
                failure = None if answer is None else self._failure(machine, answer)
                if failure and answer is not None and answer.words:
                    raise StageFailed(failure)
            time.sleep(0.2)

    def close(self) -> None:
        """The run is over, however it went: the others end."""
        self._say(replace(self._said, state="over"))

    def _failure(self, machine: int, answer: OtherMachine) -> str | None:
        if answer.state != "failed" or answer.start != self._said.start:
            return None
        log = self.run / FOLDER / f"{machine}-{answer.start:02d}.log"
        return f"{self._name(machine)} failed in stage {self._said.stage} ({log}):\n{answer.words}"

    def _name(self, machine: int) -> str:
        return f"machine {machine} ({self.names[machine]})"

    def _answer(self, machine: int) -> OtherMachine | None:
        """What another machine says to this start of `alignment launch`; None before it has joined."""
        try:
            found = OtherMachine.read(other_file(self.run, machine))
        except ArtifactError:
            return None
        return found if found.token == self._said.token else None

    def _beat(self) -> None:
        if time.monotonic() - self._written > BEAT_SECONDS:
            self._say(self._said)

    def _say(self, said: FirstMachine) -> None:
        self._said = replace(said, beat=said.beat + 1)
        self._said.write(first_file(self.run))
        self._written = time.monotonic()
