"""manifest.json: the proof that a stage finished. Written last, by run/stage.py; read by plan, report, show and resume.

Neighbours: run_folder.py (where it lies), docs/run-directory.md (its fields).
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError
from alignment.core.files import read_json, write_json


@dataclass(frozen=True)
class Manifest:
    """The proof that a stage finished: what decided its result, and the hash of every file it left."""

    name: str
    kind: str
    identity: dict[str, Any]
    identity_hash: str
    inputs: dict[str, str]
    output: dict[str, dict[str, Any]]
    output_hash: str
    seed: int
    seconds: float
    steps: int = 0
    tokens: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    outcome: str = "finished"

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read a manifest. Raises ArtifactError if it is missing or is not one."""
        found = read_json(path)
        try:
            return cls(**found)
        except TypeError as error:
            raise ArtifactError(f"{path}: is not a manifest of this version ({error})") from error

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))
