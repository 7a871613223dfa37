"""Where a run directory keeps what: one folder per stage, its files and its output, found by name or by number.

Nothing here knows about training; run/plan.py decides what runs, training/ writes outputs, report/ reads.
Neighbours: manifest.py (the proof that a stage finished), docs/run-directory.md (the layout).
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from alignment.core.errors import ArtifactError
from alignment.core.files import file_hash
from alignment.records.manifest import Manifest

MANIFEST, OUTPUT = "manifest.json", "output"


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
            if path.stat().st_size != expected.bytes:
                raise ArtifactError(
                    f"{path}: has {path.stat().st_size} bytes where the manifest of stage {manifest.name} lists "
                    f"{expected.bytes}; it was cut short or changed. {_MEND}"
                )
        return manifest

    def verify_hashes(self) -> None:
        """Compare every output byte with the manifest. Raises ArtifactError that names the file that differs."""
        manifest = self.verified_manifest()
        for name, expected in manifest.output.items():
            if file_hash(self.output / name) != expected.sha256:
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
