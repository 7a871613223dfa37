"""The options of `alignment evaluate`, and the work of the measuring process; refuses options that cannot work.

Defaults come from the run's recipe; a model folder has none, so its tasks have to be named. Neighbours: measuring.py
(runs and prints), evaluation/job.py (the process), commands/budget/options.py.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alignment.checks.own_tasks import task_faults
from alignment.commands.budget.options import COMPLETION_TOKENS
from alignment.core.errors import OptionError
from alignment.data.sources.declared import Table
from alignment.data.sources.named import load_source
from alignment.evaluation.identity import files_of
from alignment.evaluation.work import EvaluationWork
from alignment.recipe.blocks.engine import retyped
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.own.code import own_task
from alignment.recipe.schema import Recipe
from alignment.records.policies import Policy, is_model_folder, named_policies
from alignment.records.run_folder import RunFolder
from alignment.run.plan import RunPlan


@dataclass(frozen=True)
class EvaluateOptions:
    """The options of `alignment evaluate` as written; None and empty stand for the recipe's own."""

    path: Path
    stage: str | None = None
    tasks: str = ""
    files: tuple[str, ...] = ()  # TASK=FILE
    changes: tuple[tuple[str, Any], ...] = ()  # settings of the recipe's `evaluations` by name; None leaves them

    @cached_property
    def policy(self) -> Policy:
        """The policy to measure: the named stage, the last trained one, or the model folder."""
        return named_policies(self.path, [self.stage] if self.stage else [])[0]

    @cached_property
    def recipe(self) -> Recipe | None:
        """The recipe of the run; None for a model folder."""
        if is_model_folder(self.path):
            return None
        return RunPlan.load(RunFolder.open(self.path).recipe, [], self.path).recipe

    @cached_property
    def settings(self) -> Evaluations:
        """The recipe's evaluation settings, overridden by the options. Raises OptionError or DataError."""
        own = Evaluations(max_completion_tokens=COMPLETION_TOKENS) if self.recipe is None else self.recipe.evaluations
        tasks = [name.strip() for name in self.tasks.split(",") if name.strip()] or own.after_each_stage
        if not tasks:
            raise OptionError(
                "there is no task to measure on; write --tasks with names from data/sources/, such as constraints"
            )
        tasks = [own_task(name, Path.cwd()) for name in tasks]
        for name in tasks:
            for fault in task_faults(name):
                raise OptionError(f"--tasks: {fault}")
        changes = {name: value for name, value in self.changes if value is not None}
        engine = retyped(own.engine, changes["engine"]) if "engine" in changes else own.engine
        changes["engine"] = engine.model_dump() | ({"dtype": changes.pop("dtype")} if "dtype" in changes else {})
        asked = {**changes, "after_each_stage": list(dict.fromkeys(tasks)), "budgets": []}
        try:
            return Evaluations.model_validate({**own.model_dump(), **asked})
        except ValidationError as error:
            said = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
            raise OptionError(f"these options cannot work: {said}") from error

    @cached_property
    def task_files(self) -> dict[str, str]:
        """The local files of tasks, by name. Raises OptionError for a task without rows of its own, or a missing file."""
        found = files_of(self.settings.after_each_stage, self.recipe)
        for written in self.files:
            name, _, file = written.partition("=")
            if name not in self.settings.after_each_stage or not isinstance(load_source(name), Table):
                tables = [task for task in self.settings.after_each_stage if isinstance(load_source(task), Table)]
                known = ", ".join(tables) or "none of these tasks"
                raise OptionError(f"--file {written}: a file can replace {known}; write TASK=FILE")
            if not Path(file).is_file():
                raise OptionError(f"--file {written}: there is no file {file!r}; write TASK=FILE")
            found[name] = file
        return found

    @property
    def hardware(self) -> Hardware:
        """The hardware of the run with one process, or the defaults for a model folder."""
        return Hardware() if self.recipe is None else self.recipe.hardware.model_copy(update={"processes": 1})

    @property
    def offline(self) -> bool:
        """Whether no task has to be downloaded."""
        tasks = self.settings.after_each_stage
        return all(name in self.task_files or not isinstance(load_source(name), Table) for name in tasks)

    def work(self) -> EvaluationWork:
        """The work file of the measuring process."""
        return EvaluationWork(
            name=self.policy.name,
            policy=str(self.policy.folder),
            settings=self.settings.model_dump(mode="json"),
            files=self.task_files,
            trust_remote_code=self.recipe is not None and self.recipe.trust_remote_code,
        )
