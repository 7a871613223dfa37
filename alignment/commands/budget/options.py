"""The options of `alignment budget`, and the plan of a sweep from them; refuses options that cannot work.

Defaults come from the run's recipe; a model folder has none, so its tasks and budgets have to be named. Neighbours:
evaluation/sweep/plan.py (the plan), sweeping.py (runs it).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from alignment.core.errors import OptionError
from alignment.core.vocabulary import MODES
from alignment.data.sources.declared import Table
from alignment.data.sources.named import load_source
from alignment.evaluation.identity import files_of
from alignment.evaluation.sweep.plan import SweepPlan, planned_points
from alignment.evaluation.task import evaluation_source
from alignment.recipe.blocks.engine import retyped
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.own.code import own_task
from alignment.recipe.schema import Recipe
from alignment.records.policies import is_model_folder, named_policies
from alignment.records.run_folder import RunFolder
from alignment.records.sweep import FOLDER
from alignment.run.budget_sweep import holds_recipe_sweep, recipe_sweep
from alignment.run.plan import RunPlan

COMPLETION_TOKENS = 2048  # of a model folder, which has no recipe that says how long its answers may be


@dataclass(frozen=True)
class SweepOptions:
    """The options of `alignment budget` as written; None and empty stand for the recipe's own."""

    path: Path
    stages: tuple[str, ...] = ()
    tasks: str = ""
    budgets: str = ""
    modes: Literal["both", "thinking", "non_thinking"] = "both"
    samples: int = 4
    changes: tuple[tuple[str, Any], ...] = ()  # settings of the recipe's `evaluations` by name; None leaves them
    output: Path | None = None
    replace: bool = False

    def plan(self) -> SweepPlan:
        """The plan with every requested point. Raises OptionError, ArtifactError, DataError or RecipeError."""
        bare = is_model_folder(self.path)
        policies = named_policies(self.path, self.stages)
        run_plan = None if bare else RunPlan.load(RunFolder(self.path).recipe, [], self.path)
        recipe = None if run_plan is None else run_plan.recipe
        settings = self._settings(recipe)
        files = files_of(settings.after_each_stage, recipe)
        plan = SweepPlan(
            policies=policies,
            points=list(planned_points(policies, settings, files, MODES if self.modes == "both" else (self.modes,))),
            settings=settings,
            output=self.output or self._default_output(),
            hardware=Hardware() if recipe is None else recipe.hardware.model_copy(update={"processes": 1}),
            files=files,
            trust_remote_code=recipe is not None and recipe.trust_remote_code,
            offline=not any(
                isinstance(load_source(name), Table) and name not in files for name in settings.after_each_stage
            ),
        )
        if run_plan is not None and self.output is None and not self.replace:
            _keep_recipe_sweep(run_plan, plan)
        return plan

    @property
    def belongs_to_run(self) -> bool:
        """Whether the results go into a run directory, whose report shows them."""
        return self.output is None and not is_model_folder(self.path)

    def _default_output(self) -> Path:
        return self.path / FOLDER if self.belongs_to_run else Path("runs") / f"{FOLDER}-{self.path.resolve().name}"

    def _settings(self, recipe: Recipe | None) -> Evaluations:
        """The recipe's evaluation settings with the options on top; `after_each_stage` are the tasks asked for."""
        own = Evaluations(max_completion_tokens=COMPLETION_TOKENS) if recipe is None else recipe.evaluations
        tasks = [name.strip() for name in self.tasks.split(",") if name.strip()] or own.after_each_stage
        if not tasks:
            raise OptionError(
                "there is no task to measure on; write --tasks with names from data/sources/, such as chain-sum"
            )
        tasks = [own_task(name, Path.cwd()) for name in tasks]
        for name in tasks:
            evaluation_source(name)
        changes = {name: value for name, value in self.changes if value is not None}
        if "engine" in changes:
            changes["engine"] = retyped(own.engine, changes["engine"])
        if "stop_text" in changes:
            changes["thinking_budget"] = {**own.thinking_budget.model_dump(), "stop_text": changes.pop("stop_text")}
        asked = {"after_each_stage": list(dict.fromkeys(tasks)), "samples": self.samples}
        asked["budgets"] = self._budgets() or own.budgets
        try:
            settings = Evaluations.model_validate({**own.model_dump(), **changes, **asked})
        except ValidationError as error:
            said = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
            raise OptionError(f"these options cannot work: {said}") from error
        self._check_budgets(settings)
        return settings

    def _budgets(self) -> list[int]:
        words = [word.strip() for word in self.budgets.split(",") if word.strip()]
        wrong = [word for word in words if not word.isdecimal()]
        if wrong:
            raise OptionError(
                f"--budgets: {wrong[0]!r} is not a number of tokens; write whole numbers, such as 0,64,256,1024"
            )
        return sorted({int(word) for word in words})

    def _check_budgets(self, settings: Evaluations) -> None:
        if self.modes == "non_thinking":
            return
        if not settings.budgets:
            raise OptionError("there is no budget to measure at; write --budgets, such as 0,64,256,1024")
        largest, limit = max(settings.budgets), settings.max_completion_tokens
        if largest >= limit:
            raise OptionError(
                f"a budget of {largest} leaves no room for an answer within {limit} completion tokens; write smaller "
                f"--budgets, or --max-completion-tokens {largest + 512}"
            )


def _keep_recipe_sweep(run_plan: RunPlan, asked: SweepPlan) -> None:
    """Raise OptionError if the asked sweep would stand in the place of the one that the recipe asks for."""
    own = recipe_sweep(run_plan) if holds_recipe_sweep(run_plan) else None
    if own is not None and [point.key for point in own.points] != [point.key for point in asked.points]:
        raise OptionError(
            f"{own.output} holds the sweep that the recipe asks for ({len(own.points)} points, which the report shows), and "
            "this one has other points; write --output DIRECTORY to keep both, or --replace to put this one in its place"
        )
