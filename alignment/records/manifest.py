"""manifest.json: the proof that a stage finished. Written last, by run/stage.py; read by plan, report, show and resume.

Neighbours: run_folder.py (where it lies), run.py (what was recorded when the stage began).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from alignment.core.files import FileFacts
from alignment.core.machine import Machine
from alignment.core.typed_json import Json
from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class Manifest(FileRecord):
    """The proof that a stage finished. Written last: while it is missing, the stage has not finished."""

    name: Annotated[str, "the stage's name"]
    kind: Annotated[str, "its kind"]
    identity: Annotated[Mapping[str, Json], "everything that decides the result: resolved stage, seed, data definitions, hashes of input artifacts"]  # fmt: skip
    identity_hash: Annotated[str, "SHA-256 of the identity in canonical JSON"]
    inputs: Annotated[Mapping[str, str], "output hash of each artifact it was made from, by stage; `model` is the base"]
    output: Annotated[Mapping[str, FileFacts], "size and hash of every file in output/, by path"]
    output_hash: Annotated[str, "SHA-256 over `output` in canonical JSON"]
    seed: Annotated[int, "the recipe's seed"]
    seconds: Annotated[float, "wall time over all attempts"]
    steps: Annotated[int, "optimizer steps"] = 0
    tokens: Annotated[int, "tokens trained on or sampled"] = 0
    counts: Annotated[Mapping[str, Json], "rows seen and left out by reason, and what else the stage's kind counts"] = field(default_factory=dict)  # fmt: skip
    versions: Annotated[Mapping[str, str], "version of each package that decides a result"] = field(
        default_factory=dict
    )
    hardware: Annotated[Machine | None, "the machine, and how many processes ran on it"] = None
    outcome: Annotated[str, "`finished`"] = "finished"
