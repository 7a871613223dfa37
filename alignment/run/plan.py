"""Pipeline: decides which stages of a recipe to run, resume or refuse.

A stage is finished if it has a manifest whose identity (everything that decides its result) matches the recipe. Running
again is resuming. Neighbours: records/run_folder.py (files and their hashes), runner.py (runs the stages).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml

from alignment.core.differences import differences
from alignment.core.errors import ArtifactError, RecipeError, StaleInputsError
from alignment.core.files import content_hash, file_hash, read_json, write_text
from alignment.core.machine import hardware, versions
from alignment.core.resources import resource
from alignment.data.mixture import describe_part, load_parts
from alignment.data.sources import Table, load_source, local_path
from alignment.recipe import engine
from alignment.recipe.issue import nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.load import Document
from alignment.recipe.schema import Recipe
from alignment.records.manifest import Manifest
from alignment.records.run import RunRecord, StageStart
from alignment.records.run_folder import RunFolder, StageFolder

State = Literal["finished", "unfinished", "fresh"]
# Settings that may change between two starts of a stage, because they cannot change its result.
WITHOUT_EFFECT = ("save_every_steps", "max_logprob_gap", *engine.WITHOUT_EFFECT)


@dataclass(frozen=True)
class Pipeline:
    """A recipe, its file and its run directory."""

    recipe: Recipe
    path: Path
    overrides: tuple[str, ...]
    run: RunFolder

    @classmethod
    def load(cls, path: Path, overrides: list[str], run: Path | None = None) -> "Pipeline":
        """Read a recipe; its run directory is `run`, or runs/NAME. Raises RecipeError with every issue of the schema."""
        document = Document(path, overrides)
        recipe, problems = document.recipe()
        if recipe is None or problems:
            raise RecipeError("\n".join(document.describe(problem) for problem in problems))
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
            RunRecord(recipe.name, recipe.seed, recipe.model, now, versions(), hardware()).write(self.run.facts)

    # What a stage starts from

    def base_path(self) -> str:
        """Folder or hub id of the base model: the prepared copy in base/ if there is one."""
        if (self.run.base / "config.json").exists():
            return str(self.run.base)
        return str(resource("data/base")) if self.recipe.model == "embedded" else self.recipe.model

    def base_settings(self) -> dict[str, Any]:
        """The settings that base/ is prepared from."""
        return {"model": self.recipe.model, "add_tokens": self.recipe.add_tokens, "template": self.recipe.chat_template}

    def needs_base(self) -> bool:
        """Whether base/ has to be prepared. Raises StaleInputsError if it was prepared with other settings."""
        made = self.run.base / "prepared.json"
        if not made.exists():
            return bool(self.recipe.add_tokens or self.recipe.chat_template)
        changed = list(differences(read_json(made), self.base_settings()))
        if changed:
            raise StaleInputsError(
                f"{self.run.base} was prepared with other settings than the recipe has now: {'; '.join(changed)}. "
                "Write `--run DIRECTORY` to use the new settings in a new run directory."
            )
        return False

    def policy_path(self, name: str) -> str:
        """Folder or hub id of the policy that a stage starts from."""
        before = self.recipe.policy_before(name)
        return self.base_path() if before is None else str(self.folder(before).output)

    def needed_stages(self, name: str) -> list[str]:
        """The stages whose artifacts a stage reads: its policy's, and those of sample stages in its mixture."""
        before = self.recipe.policy_before(name)
        sampled = [part.stage for part in load_parts(self.recipe.stage(name).data) if part.stage]
        return [*([before] if before else []), *sampled]

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
        if self.recipe.policy_before(name) is None:
            found["model"] = self._base_hash()
        return found

    def _base_hash(self) -> str:
        folder = Path(self.base_path())
        if not folder.is_dir():
            return f"hub:{self.recipe.model}"
        return content_hash(folder)

    def identity(self, name: str) -> dict[str, Any]:
        """Everything that decides a stage's result."""
        stage = self.recipe.stage(name)
        parts = load_parts(stage.data)
        settings = _without_effectless(stage.model_dump(mode="json", exclude={"data"}))
        return {
            "stage": settings,
            "seed": self.recipe.seed,
            "chat_template": self.recipe.chat_template,
            "data": [describe_part(part) for part in parts],
            "files": dict(self._local_files(part.source for part in parts if part.source)),
            "inputs": self.inputs(name),
        }

    def _local_files(self, sources: Any) -> Iterator[tuple[str, str]]:
        for name in sources:
            source = load_source(name)
            override = self.recipe.data.sources.get(name)
            if isinstance(source, Table) and (path := local_path(source, override.path if override else None)):
                yield name, file_hash(path)

    def hub_sources(self) -> list[str]:
        """The sources of this recipe that are downloaded from the hub, for training and evaluation."""
        parts = [part.source for stage in self.recipe.stages for part in load_parts(stage.data) if part.source]
        names = dict.fromkeys([*parts, *self.recipe.evaluations.after_each_stage])
        local = {name for name, _ in self._local_files(names)}
        return [name for name in names if isinstance(load_source(name), Table) and name not in local]

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
        return "finished" if folder.finished else "unfinished"

    def begin(self, name: str) -> None:
        """Record the identity of a stage in stage.json, before its process starts."""
        folder = self.folder(name)
        if not (folder.path / "stage.json").exists():
            kind, identity = self.recipe.stage(name).kind, self.identity(name)
            StageStart(name, kind, identity).write(folder.path / "stage.json")

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


def _without_effectless(settings: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in WITHOUT_EFFECT:
            kept[key] = _without_effectless(value) if isinstance(value, dict) else value
    return kept
