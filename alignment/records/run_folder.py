"""The layout of a run directory: one folder per stage, found by name or number, and the paths of its files.

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
BASE_MODEL = "base model"  # in the place of a stage's name, which has no space: the model that a run starts from


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage in a run, by name and number."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        """The record of the finished stage."""
        return self.path / MANIFEST

    @property
    def output(self) -> Path:
        """The folder of the stage's artifact."""
        return self.path / OUTPUT

    @property
    def checkpoints(self) -> Path:
        """The folder of the trainer's checkpoints, empty once the stage is finished."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def evaluations(self) -> Path:
        """The folder of the stage's evaluations."""
        return self.path / "evaluations"

    @property
    def metrics(self) -> Path:
        """The file with one line per logged step."""
        return self.path / "metrics.jsonl"

    @property
    def rollouts(self) -> Path:
        """The file with a sample of the stage's completions."""
        return self.path / "rollouts.jsonl"

    @property
    def finished(self) -> bool:
        """Whether the stage has a manifest."""
        return self.manifest_path.exists()

    def manifest(self) -> Manifest:
        """The stage's manifest. Raises ArtifactError if it is missing or damaged."""
        return Manifest.read(self.manifest_path)

    def verified_manifest(self) -> Manifest:
        """The manifest, after checking the sizes of its output files. Raises ArtifactError that names a damaged file.

        Comparing sizes finds a truncated file in milliseconds; `verify_hashes` reads every byte.
        """
        manifest = self.manifest()
        for name, expected in manifest.output.items():
            path = self.output / name
            if not path.is_file():
                raise ArtifactError(
                    f"{path}: is missing, and the manifest of stage {manifest.name} lists it; {_ADVICE}"
                )
            if path.stat().st_size != expected.bytes:
                raise ArtifactError(
                    f"{path}: has {path.stat().st_size} bytes where the manifest of stage {manifest.name} lists "
                    f"{expected.bytes}; it was cut short or changed. {_ADVICE}"
                )
        return manifest

    def verify_hashes(self) -> None:
        """Compare every output byte with the manifest. Raises ArtifactError that names the file that differs."""
        manifest = self.verified_manifest()
        for name, expected in manifest.output.items():
            if file_hash(self.output / name) != expected.sha256:
                raise ArtifactError(
                    f"{self.output / name}: was changed after stage {manifest.name} finished. {_ADVICE}"
                )

    def set_aside(self, reason: str) -> Path:
        """Rename the folder, so that the stage starts afresh and nothing is deleted; returns the new path.

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
        """Delete the checkpoints of a finished stage."""
        shutil.rmtree(self.checkpoints, ignore_errors=True)


_ADVICE = "Write `--redo NAME` to run the stage again; the old folder is kept beside it."


@dataclass(frozen=True)
class RunFolder:
    """A run directory: `runs/<recipe>` unless named otherwise."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe of the run."""
        return self.path / "recipe.yaml"

    @property
    def facts(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def base(self) -> Path:
        """The folder of the prepared base model, if the recipe needs one."""
        return self.path / "base"

    @property
    def before_stages(self) -> StageFolder:
        """The folder of what was measured of the model that the run starts from."""
        return StageFolder(self.path / "before")

    @property
    def judgements(self) -> Path:
        """The folder with what the judges of rewards said, one file for each reward's name."""
        return self.path / "judgements"

    def stage(self, number: int, name: str) -> StageFolder:
        """The folder of a stage by its number in the recipe, from 1, and its name."""
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
