"""machines/0.json and machines/N.json: what the machines of a run say to each other, through the run directory.

The first machine says which stage is to be started, the others how theirs went. Each writes its own file alone, and a
number that goes up while it is alive. Neighbours: run/machines/first.py (the first one), run/machines/join.py (the
others).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class FirstMachine(FileRecord):
    """What the first machine of a run says. Written again every few seconds while `alignment launch` runs."""

    token: Annotated[str, "random text of this start of `alignment launch`"]
    machines: Annotated[int, "how many machines there are"]
    address: Annotated[str, "where the others reach the first one"]
    beat: Annotated[int, "goes up while it is alive"] = 0
    state: Annotated[Literal["between", "stage", "over"], "stage: the others are to run one; over: they end"] = (
        "between"
    )
    stage: Annotated[str | None, "the stage that was started last"] = None
    start: Annotated[int, "the number of that start, from 1"] = 0
    port: Annotated[int, "where the ranks of that start meet"] = 0
    offline: Annotated[bool, "whether the stage downloads nothing"] = False
    versions: Annotated[Mapping[str, str], "version of each package that decides a result"] = field(
        default_factory=dict
    )


@dataclass(frozen=True)
class OtherMachine(FileRecord):
    """What another machine of a run says. Written again every few seconds while `alignment join` runs."""

    token: Annotated[str, "that of the first machine, which shows that both see one directory"]
    host: Annotated[str, "its name"]
    beat: Annotated[int, "goes up while it is alive"] = 0
    start: Annotated[int, "the number of the start that it runs or ran, 0 before the first"] = 0
    state: Annotated[Literal["waiting", "running", "finished", "failed"], "how that start went"] = "waiting"
    words: Annotated[str, "why it failed"] = ""
