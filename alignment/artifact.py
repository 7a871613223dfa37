"""What a finished stage leaves, and the proof of it: files with hashes, and a manifest written last.

Layout and fields are described in docs/run-directory.md. Nothing here knows about training; pipeline.py decides what
runs, stages/ write outputs, report/ reads manifests.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alignment.errors import ArtifactError

MANIFEST, OUTPUT = "manifest.json", "output"
# How text is encoded that may hold half a character, from someone's data: as JSON's own escape, which reads back the same.
HALF_CHARACTERS = "backslashreplace"


def canonical_hash(value: Any) -> str:
    """SHA-256 of a value in canonical JSON: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors=HALF_CHARACTERS)).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises ArtifactError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error


def folder_files(folder: Path) -> dict[str, dict[str, Any]]:
    """`{relative path: {bytes, sha256}}` of every file in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": file_hash(path)} for path in paths}


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, whatever happens in between.

    Raises ArtifactError that names the file when the disk is full or read-only.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors=HALF_CHARACTERS) as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror or error}); nothing finished was touched"
        ) from error


def read_json(path: Path) -> Any:
    """Read JSON. Raises ArtifactError that names the file if it is missing, unreadable or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{path}: is damaged: not JSON at line {error.lineno} ({error.msg})") from error


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


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage in a run, by name and number."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        return self.path / MANIFEST

    @property
    def output(self) -> Path:
        return self.path / OUTPUT

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def rollouts(self) -> Path:
        return self.path / "rollouts.jsonl"

    @property
    def finished(self) -> bool:
        return self.manifest_path.exists()

    def manifest(self) -> Manifest:
        return Manifest.read(self.manifest_path)

    def verified_manifest(self) -> Manifest:
        """The manifest, after its output files were found whole. Raises ArtifactError that names the damaged file.

        Sizes are compared, which finds a truncated file in milliseconds; `verify_hashes` reads every byte.
        """
        manifest = self.manifest()
        for name, expected in manifest.output.items():
            path = self.output / name
            if not path.is_file():
                raise ArtifactError(f"{path}: is missing, and the manifest of stage {manifest.name} lists it; {_MEND}")
            if path.stat().st_size != expected["bytes"]:
                raise ArtifactError(
                    f"{path}: has {path.stat().st_size} bytes where the manifest of stage {manifest.name} lists "
                    f"{expected['bytes']}; it was cut short or changed. {_MEND}"
                )
        return manifest

    def verify_hashes(self) -> None:
        """Compare every output byte with the manifest. Raises ArtifactError that names the file that differs."""
        manifest = self.verified_manifest()
        for name, expected in manifest.output.items():
            if file_hash(self.output / name) != expected["sha256"]:
                raise ArtifactError(f"{self.output / name}: was changed after stage {manifest.name} finished. {_MEND}")

    def set_aside(self, reason: str) -> Path:
        """Rename the folder so that the stage starts afresh and nothing is lost; returns where it went.

        Raises ArtifactError if the run directory cannot be written.
        """
        number = 1
        while (target := self.path.with_name(f"{self.path.name}.{reason}-{number}")).exists():
            number += 1
        try:
            self.path.rename(target)
        except OSError as error:
            raise ArtifactError(f"{self.path}: cannot be set aside as {target.name} ({error.strerror})") from error
        return target

    def clear_checkpoints(self) -> None:
        shutil.rmtree(self.checkpoints, ignore_errors=True)


_MEND = "Run again with `--redo NAME` to make the stage anew; the old folder is kept beside it."


@dataclass(frozen=True)
class RunFolder:
    """A run directory: `runs/<recipe>` unless named otherwise."""

    path: Path

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def facts(self) -> Path:
        return self.path / "run.json"

    @property
    def base(self) -> Path:
        return self.path / "base"

    def stage(self, number: int, name: str) -> StageFolder:
        """The folder of the stage with that place in the recipe, counted from 1."""
        return StageFolder(self.path / f"{number:02d}-{name}")

    def find(self, name: str) -> StageFolder:
        """The folder of a stage by name alone. Raises ArtifactError listing the stages there are."""
        for path in sorted(self.path.glob("[0-9][0-9]-*")):
            if path.name[3:] == name:
                return StageFolder(path)
        known = [path.name[3:] for path in sorted(self.path.glob("[0-9][0-9]-*")) if "." not in path.name]
        raise ArtifactError(f"{self.path} has no stage `{name}`; it has {', '.join(known) or 'none yet'}")

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """An existing run. Raises ArtifactError if the folder is not one."""
        if not (path / "run.json").is_file():
            raise ArtifactError(f"{path} is not a run directory: it has no run.json. Runs are made by `alignment run`")
        return cls(path)
