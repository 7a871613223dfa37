"""Trials: a stage of a recipe trained on other rows, from the policy that it starts from, and evaluated.

Each is a run directory of its own in trials/ of the run, named by what decides it, with links to the stages that it is
made from. So a trial is made by the launcher, evaluation and resume of every stage, and one that is measured is never
made again. Its policy is deleted once it is measured. Neighbours: run/runner.py, row_curve.py, mixture_search.py (which
trials there are).
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TextIO

from rich.console import Console

from alignment.core.errors import ArtifactError, OptionError
from alignment.core.files import canonical_hash
from alignment.core.locks import hold
from alignment.core.typed_json import Json, encode
from alignment.core.vocabulary import Mode
from alignment.data.mixture import load_parts
from alignment.data.sources.declared import Procedural
from alignment.data.sources.named import load_source
from alignment.data_factory.allotment import labels, part_rows, rows_there, with_counts
from alignment.evaluation.identity import evaluation_identity
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.kinds import kind_of
from alignment.recipe.own.code import LM_EVAL
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage, tests_of
from alignment.records.evaluation import EvaluationRecord
from alignment.records.run_folder import RunFolder
from alignment.records.trials import FOLDER, TRIAL, Trial
from alignment.run.forks.start import Forks, imports_for
from alignment.run.identity import stage_identity
from alignment.run.plan import RunPlan
from alignment.run.runner import Runner

KEY_LENGTH = 12


@dataclass(frozen=True)
class PlannedTrial:
    """A trial before it is measured: its recipe, the rows of each part, and everything that decides it."""

    recipe: Recipe
    counts: tuple[int, ...]
    identity: Mapping[str, Json]

    @property
    def key(self) -> str:
        """The name of its folder."""
        return canonical_hash(self.identity)[:KEY_LENGTH]


@dataclass(frozen=True)
class Trials:
    """Trials of one stage of a plan, measured in one mode."""

    plan: RunPlan
    stage: str
    mode: Mode
    console: Console

    @cached_property
    def _forks(self) -> Forks:
        """Starts the processes of all trials."""
        return Forks(imports_for(self.plan.recipe))

    def close(self) -> None:
        """End what started the trials' processes."""
        self._forks.close()

    @property
    def folder(self) -> Path:
        """Where the trials are."""
        return self.plan.run.path / FOLDER

    @cached_property
    def parts(self) -> list[MixturePart]:
        """The parts of the stage's data."""
        return load_parts(self.plan.recipe.stage(self.stage).data)

    @property
    def tasks(self) -> tuple[str, ...]:
        """What trials are measured on."""
        return tuple(self.plan.recipe.evaluations.after_each_stage)

    @property
    def groups(self) -> list[str]:
        """A name for each part."""
        return labels(self.parts)

    def rows(self) -> list[int]:
        """Rows of each part. The stages whose rows they are have to be there."""
        return part_rows(self.plan.recipe, self.parts, self._artifact)

    def rows_there(self) -> list[int | None]:
        """The most rows that each part can give; None without end."""
        return rows_there(self.plan.recipe, self.parts, self._artifact)

    def alone(self) -> TextIO:
        """The lock of the trials, held until it is closed. Raises ArtifactError if others are under way here."""
        return hold(self.folder / ".lock", "trials are under way here; wait for them, or write --run DIRECTORY")

    def prepare(self) -> None:
        """Run the stages that the trained one is made from, where they are not there yet.

        Raises OptionError for a stage that cannot be tried: one that does not train on rows, or is not measured.
        """
        stage = self.plan.recipe.stage(self.stage)
        kind = kind_of(stage)
        if kind.takes != "rows" or not kind.leaves_policy:
            raise OptionError(
                f"{self.stage} is a {kind.name} stage; name one that trains a policy on rows, such as an sft stage"
            )
        if not self.tasks:
            raise OptionError(
                "the recipe evaluates nothing, so trials cannot be compared; name tasks in `after_each_stage`"
            )
        runner = Runner(self.plan, self.console, forks=self._forks)
        runner.begin()
        for name in self.plan.needed_for(self.stage)[:-1]:
            if not self.plan.folder(name).finished:
                runner.go(name)

    def planned(self, counts: Sequence[int], seed: int | None = None, problems_seed: int | None = None) -> PlannedTrial:
        """The trial with these rows of each part.

        seed: of the trainer, in place of the recipe's. problems_seed: of the evaluation.
        """
        recipe = self._recipe(counts, seed, problems_seed)
        facts = stage_identity(recipe, recipe.stage(self.stage), self.plan.inputs(self.stage))
        identity = {"stage": facts, "evaluation": encode(evaluation_identity(recipe, ""))}
        return PlannedTrial(recipe, tuple(counts), identity)

    def measured(self, planned: PlannedTrial) -> Trial:
        """Measure a trial, unless it is recorded.

        Raises StageFailed if training or evaluation fails; running again goes on where it ended.
        """
        folder = self.folder / planned.key
        if (folder / TRIAL).exists():
            return Trial.read(folder / TRIAL)
        plan = RunPlan(planned.recipe, folder / "recipe.yaml", (), RunFolder(folder))
        self._link(plan)
        Runner(plan, self.console, forks=self._forks).go(self.stage)
        trial = self._read(plan, planned)
        trial.write(folder / TRIAL)
        shutil.rmtree(plan.folder(self.stage).output)
        return trial

    def asks_others(self) -> bool:
        """Whether another `problems_seed` asks other problems and changes no stage that trials are made from."""
        needed = [self.plan.recipe.stage(name) for name in self.plan.needed_for(self.stage)[:-1]]
        endless = all(not name.startswith(LM_EVAL) and isinstance(load_source(name), Procedural) for name in self.tasks)
        return endless and all(tests_of(one) is None for one in needed)

    def _recipe(self, counts: Sequence[int], seed: int | None, problems_seed: int | None) -> Recipe:
        """The recipe up to the stage, with what it needs and these rows."""
        recipe = self.plan.recipe
        stage = recipe.stage(self.stage)
        changed: dict[str, object] = {"data": with_counts(self.parts, counts)}
        if seed is not None and isinstance(stage, TrainingStage):
            changed["trainer"] = {**stage.trainer, "seed": seed, "data_seed": seed}
        before = [recipe.stage(name) for name in self.plan.needed_for(self.stage)[:-1]]
        settings: dict[str, object] = {"budgets": [], "follow_turns": 1, "target_lengths": []}
        if problems_seed is not None:
            settings["seed"] = problems_seed
        return recipe.model_copy(
            update={
                "stages": [*before, stage.model_copy(update=changed)],
                "evaluations": recipe.evaluations.model_copy(update=settings),
            }
        )

    def _link(self, plan: RunPlan) -> None:
        """Let a trial see the stages that it is made from, and the prepared model, where they are in the run."""
        plan.run.path.mkdir(parents=True, exist_ok=True)
        pairs = [(plan.folder(name).path, self.plan.folder(name).path) for name in plan.recipe.stage_names[:-1]]
        pairs += [(plan.run.base, self.plan.run.base)] if self.plan.run.base.exists() else []
        for link, target in pairs:
            if not link.exists():
                link.symlink_to(os.path.relpath(target, link.parent), target_is_directory=True)

    def _read(self, plan: RunPlan, planned: PlannedTrial) -> Trial:
        """What a finished trial left. Raises ArtifactError if no answer could be judged."""
        folder = plan.folder(self.stage)
        manifest = folder.manifest()
        figures = EvaluationRecord.read(folder.evaluations / f"{self.mode}.json").figures
        if figures.accuracy.value is None:
            raise ArtifactError(f"{folder.evaluations}: no answer of {self.mode} mode could be judged")
        return Trial(
            key=planned.key,
            counts={name: count for name, count in zip(self.groups, planned.counts, strict=True) if count},
            mode=self.mode,
            accuracy=figures.accuracy,
            count=figures.count,
            unknown=figures.unknown,
            steps=manifest.steps,
            tokens=manifest.tokens,
            seconds=manifest.seconds,
            identity=planned.identity,
        )

    def _artifact(self, name: str) -> Path:
        return self.plan.folder(name).output
