"""RunPlan: decides which stages of a recipe to run, resume or refuse.

A stage is finished if it has a manifest whose identity (everything that decides its result) matches the recipe. Running
again is resuming. Neighbours: identity.py (what decides a result), run/start/model.py (what the first stage starts
from), records/run_folder.py (files and their hashes), runner.py (runs the stages).
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from alignment.core.differences import differences
from alignment.core.errors import ArtifactError, RecipeError, StaleInputsError
from alignment.core.files import write_text
from alignment.core.machine import hardware, versions
from alignment.data.mixture import load_parts
from alignment.recipe.issue import nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.reading.load import Document
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import continues_adapter
from alignment.records.manifest import Manifest
from alignment.records.run import RunRecord, StageStart
from alignment.records.run_folder import RunFolder, StageFolder
from alignment.run.identity import stage_identity
from alignment.run.launcher import launcher_config
from alignment.run.start.model import StartingModel

State = Literal["finished", "unfinished", "fresh"]


def has_checkpoints(folder: StageFolder) -> bool:
    """Whether a stage has checkpoints of a trainer, from which it would go on."""
    return any(folder.checkpoints.glob("checkpoint-*"))


@dataclass(frozen=True)
class RunPlan:
    """A recipe, its file and its run directory: which stages are finished, are resumed, or must not be reused."""

    recipe: Recipe
    path: Path
    overrides: tuple[str, ...]
    run: RunFolder

    @classmethod
    def load(cls, path: Path, overrides: list[str], run: Path | None = None) -> "RunPlan":
        """Read a recipe; its run directory is `run`, or runs/NAME. Raises RecipeError with every issue of the schema."""
        document = Document(path, overrides)
        recipe, issues = document.recipe()
        if recipe is None or issues:
            raise RecipeError("\n".join(document.describe(issue) for issue in issues))
        return cls(recipe, path, tuple(overrides), RunFolder(run or Path("runs") / recipe.name))

    def folder(self, name: str) -> StageFolder:
        """The folder of a stage. Raises RecipeError if the recipe has no such stage."""
        names = self.recipe.stage_names
        if name not in names:
            raise RecipeError(f"{self.path}: there is no stage `{name}`; {nearest(name, names)}")
        return self.run.stage(names.index(name) + 1, name)

    def prepare(self) -> None:
        """Make the run directory, with the resolved recipe and run.json. Raises ArtifactError if it cannot be written."""
        try:
            self.run.path.mkdir(parents=True, exist_ok=True)
            text = yaml.safe_dump(self.recipe.model_dump(mode="json", exclude_unset=True), sort_keys=False, width=120)
            if not self.run.recipe.exists() or self.run.recipe.read_text(encoding="utf-8") != text:
                write_text(self.run.recipe, text)
        except OSError as error:
            raise ArtifactError(f"{error.filename or self.run.path}: cannot be written ({error.strerror})") from error
        if not self.run.facts.exists():
            recipe, now = self.recipe, datetime.now(UTC).isoformat(timespec="seconds")
            RunRecord(recipe.name, recipe.seed, recipe.pinned_model, now, versions(), hardware()).write(self.run.facts)

    # What a stage is made from

    @property
    def base(self) -> StartingModel:
        """The model that the first stage starts from."""
        return StartingModel(self.recipe, self.run)

    def policy_path(self, name: str) -> str:
        """Folder or hub id of the policy that a stage starts from."""
        before = self.recipe.policy_before(name)
        return self.base.path if before is None else str(self.folder(before).output)

    def evaluated(self, name: str | None) -> tuple[StageFolder, str]:
        """The folder of a stage's evaluations and the hash of its policy; with None, of the model that the run starts from."""
        if name is None:
            return self.run.before_stages, self.base.input_hash()
        folder = self.folder(name)
        return folder, folder.verified_manifest().output_hash

    def needed_stages(self, name: str) -> list[str]:
        """The stages whose artifacts a stage reads: its policy's, the one under a continued adapter, and those of sample
        stages in its mixture."""
        read = [self.recipe.policy_before(name), self.recipe.policy_before(self.adapter_from(name))]
        sampled = [part.stage for part in load_parts(self.recipe.stage(name).data) if part.stage]
        return list(dict.fromkeys(one for one in (*read, *sampled, *self.recipe.stage(name).reads) if one is not None))

    def adapter_from(self, name: str) -> str:
        """The stage that began the adapter which a stage trains; the stage itself where it continues none."""
        while (before := self.recipe.policy_before(name)) is not None and continues_adapter(self.recipe.stage(name)):
            name = before
        return name

    def needed_for(self, name: str) -> list[str]:
        """A stage and every stage that it is made from, in the recipe's order. Raises RecipeError for an unknown name."""
        self.folder(name)  # refuses a stage that the recipe does not have
        needed, found = [name], {name}
        while needed:
            more = set(self.needed_stages(needed.pop())) - found
            found |= more
            needed += sorted(more)
        return [stage for stage in self.recipe.stage_names if stage in found]

    def inputs(self, name: str) -> dict[str, str]:
        """`{name: output hash}` of the artifacts that a stage is made from. Raises ArtifactError if one is missing."""
        found = {need: self.folder(need).verified_manifest().output_hash for need in self.needed_stages(name)}
        if None in (self.recipe.policy_before(name), self.recipe.policy_before(self.adapter_from(name))):
            found["model"] = self.base.input_hash()
        return found

    def identity(self, name: str) -> dict[str, Any]:
        """Everything that decides a stage's result. Raises ArtifactError if an artifact it is made from is missing."""
        return stage_identity(self.recipe, self.recipe.stage(name), self.inputs(name))

    # What has been done

    def state(self, name: str) -> State:
        """Whether a stage is finished, unfinished or fresh.

        Raises StaleInputsError if its inputs changed since it started, and ArtifactError if its output is damaged.
        """
        folder = self.folder(name)
        begun = folder.path / "stage.json"
        if not (folder.finished or begun.exists()):
            return "fresh"
        recorded = folder.verified_manifest().identity if folder.finished else StageStart.read(begun).identity
        changed = list(differences(recorded, self.identity(name)))
        if changed:
            listed = "\n".join(f"  {line}" for line in changed)
            raise StaleInputsError(
                f"stage {name} in {folder.path} was made with other inputs than the recipe has now:\n{listed}\n"
                f"Write `--redo {name}` to run it and later stages again (the old folder is kept beside it), or "
                f"`--run DIRECTORY` to keep both."
            )
        if folder.finished:
            return "finished"
        self._refuse_other_processes(name)
        return "unfinished"

    def _refuse_other_processes(self, name: str) -> None:
        """Raise StaleInputsError if a stage's checkpoints were written by other processes than would go on from them."""
        folder, (processes, sharding) = self.folder(name), self._processes(name)
        begun = StageStart.read(folder.path / "stage.json")
        if begun.processes is None or processes is None or not has_checkpoints(folder):
            return
        if (begun.processes, begun.sharding) != (processes, sharding):
            raise StaleInputsError(
                f"stage {name} in {folder.path} was begun by {begun.processes} process(es) with {begun.sharding}, and its "
                f"checkpoints have a part for each; this start has {processes} with {sharding} (hardware.processes, "
                f"hardware.accelerate), which would go on with other batches or not at all. Write the hardware as it was, or "
                f"`--redo {name}` to run the stage again (the old folder is kept beside it)."
            )

    def _processes(self, name: str) -> tuple[int | None, str | None]:
        """How many processes train a stage and in which form they hold its state; None where nothing is trained."""
        if not kind_of(self.recipe.stage(name)).trains:
            return None, None
        return self.recipe.hardware.processes, launcher_config(self.recipe.hardware).sharding

    def begin(self, name: str) -> None:
        """Record the identity of a stage in stage.json, before its process starts."""
        folder = self.folder(name)
        path, kind = folder.path / "stage.json", self.recipe.stage(name).kind
        if not path.exists():
            StageStart(name, kind, self.identity(name), *self._processes(name)).write(path)
        elif not has_checkpoints(folder):  # it starts anew, perhaps on other hardware
            processes, sharding = self._processes(name)
            replace(StageStart.read(path), processes=processes, sharding=sharding).write(path)

    def set_aside(self, name: str) -> list[Path]:
        """Set aside a stage and every stage made from it, so that they run again; returns where they are now.

        Nothing is deleted. Raises RecipeError for an unknown name.
        """
        self.folder(name)  # refuses an unknown name
        moved, gone = [], {name}
        for stage in self.recipe.stages:
            if stage.name in gone or gone & set(self.needed_stages(stage.name)):
                gone.add(stage.name)
                folder = self.folder(stage.name)
                if folder.path.exists():
                    moved.append(folder.set_aside("redone"))
        return moved

    def trained_stages(self) -> list[str]:
        """Names of the stages that leave a policy, in order."""
        return [stage.name for stage in self.recipe.stages if kind_of(stage).leaves_policy]

    def manifests(self) -> dict[str, Manifest]:
        """The manifests of all finished stages, by name."""
        folders = {name: self.folder(name) for name in self.recipe.stage_names}
        return {name: folder.manifest() for name, folder in folders.items() if folder.finished}
