"""From what a person writes after `alignment budget` to a plan; everything that cannot work is refused here.

A run's recipe gives what is left out; a model folder has no recipe, so its tasks and budgets have to be named.
Neighbours: evaluation/sweep/plan.py (the plan), sweeping.py (carries it out).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from alignment.core.errors import OptionError
from alignment.core.files import file_hash
from alignment.core.vocabulary import MODES, Mode
from alignment.data.sources import Table, load_source, local_path
from alignment.evaluation.sweep.plan import Point, SweepPlan
from alignment.evaluation.task import evaluation_source
from alignment.recipe.engine import WITHOUT_EFFECT, retyped
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.hardware import Hardware
from alignment.recipe.schema import Recipe
from alignment.records.policies import Policy, is_model_folder, named_policies
from alignment.records.run_folder import RunFolder
from alignment.run.plan import Pipeline

FOLDER = "budget"  # in a run directory
COMPLETION_TOKENS = 2048  # of a model folder, which has no recipe that says how long its answers may be
NOT_DECIDING = {"description", "licence"}


@dataclass(frozen=True)
class SweepOptions:
    """The options of `alignment budget` as they were written; None and empty stand for the recipe's own."""

    path: Path
    stages: tuple[str, ...] = ()
    tasks: str = ""
    budgets: str = ""
    modes: Literal["both", "thinking", "non_thinking"] = "both"
    samples: int = 4
    changes: tuple[tuple[str, Any], ...] = ()  # settings of the recipe's `evaluations` by name; None leaves them
    output: Path | None = None

    def plan(self) -> SweepPlan:
        """Every point that is asked for. Raises OptionError, ArtifactError, DataError or RecipeError."""
        bare = is_model_folder(self.path)
        policies = named_policies(self.path, self.stages)
        recipe = None if bare else Pipeline.load(RunFolder(self.path).recipe, [], self.path).recipe
        settings = self._settings(recipe)
        files = files_of(settings.after_each_stage, recipe)
        tasks = {name: _task(settings, name, files) for name in settings.after_each_stage}
        return SweepPlan(
            policies=policies,
            points=[point for policy in policies for point in self._points(policy, settings, tasks)],
            settings=settings,
            output=self.output or self._default_output(),
            hardware=Hardware() if recipe is None else recipe.hardware.model_copy(update={"processes": 1}),
            files=files,
            trust_remote_code=recipe is not None and recipe.trust_remote_code,
            offline=not any(isinstance(load_source(name), Table) and name not in files for name in tasks),
        )

    def _points(self, policy: Policy, settings: Evaluations, tasks: dict[str, dict[str, Any]]) -> Iterator[Point]:
        decided = {"policy": policy.output_hash()}
        for name, task in tasks.items():
            for mode, budget in self._curve(settings):
                identity = {**decided, "task": task, **_identity(settings, mode, budget)}
                yield Point(policy.name, name, mode, budget, identity)

    @property
    def belongs_to_run(self) -> bool:
        """Whether what is measured is kept in a run, whose report shows it."""
        return self.output is None and not is_model_folder(self.path)

    def _default_output(self) -> Path:
        return self.path / FOLDER if self.belongs_to_run else Path("runs") / f"{FOLDER}-{self.path.resolve().name}"

    def _settings(self, recipe: Recipe | None) -> Evaluations:
        """The recipe's evaluation settings with the options on top; `after_each_stage` are the tasks asked for."""
        own = Evaluations(max_completion_tokens=COMPLETION_TOKENS) if recipe is None else recipe.evaluations
        tasks = [name.strip() for name in self.tasks.split(",") if name.strip()] or own.after_each_stage
        if not tasks:
            raise OptionError("there is no task to measure on; write --tasks with names of data/sources/, as chain-sum")
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
            raise OptionError(f"--budgets: {wrong[0]!r} is no number of tokens; write whole numbers, as 0,64,256,1024")
        return sorted({int(word) for word in words})

    def _check_budgets(self, settings: Evaluations) -> None:
        if self.modes == "non_thinking":
            return
        if not settings.budgets:
            raise OptionError("there is no budget to measure at; write --budgets, as 0,64,256,1024")
        largest, limit = max(settings.budgets), settings.max_completion_tokens
        if largest >= limit:
            raise OptionError(
                f"a budget of {largest} leaves no room for an answer within {limit} completion tokens; write smaller "
                f"--budgets, or --max-completion-tokens {largest + 512}"
            )

    def _curve(self, settings: Evaluations) -> list[tuple[Mode, int | None]]:
        wanted = MODES if self.modes == "both" else (self.modes,)
        thinking: list[tuple[Mode, int | None]] = [("thinking", budget) for budget in sorted(set(settings.budgets))]
        plain: list[tuple[Mode, int | None]] = [("non_thinking", None)]
        return (thinking if "thinking" in wanted else []) + (plain if "non_thinking" in wanted else [])


def files_of(tasks: list[str], recipe: Recipe | None) -> dict[str, str]:
    """The local files that stand in place of tasks: the recipe's overrides, and those that ship with the project."""
    overrides = {} if recipe is None else recipe.data.sources
    found = {}
    for name in tasks:
        source, override = load_source(name), overrides.get(name)
        if isinstance(source, Table) and (path := local_path(source, override.path if override else None)):
            found[name] = str(path)
    return found


def _task(settings: Evaluations, name: str, files: dict[str, str]) -> dict[str, Any]:
    """What decides a task's problems."""
    return {
        "name": name,
        "source": load_source(name).model_dump(mode="json", exclude=NOT_DECIDING),
        "parameters": settings.parameters.get(name, {}),
        "file": file_hash(Path(files[name])) if name in files else None,
        "count": settings.count,
        "seed": settings.seed,
    }


def _identity(settings: Evaluations, mode: Mode, budget: int | None) -> dict[str, Any]:
    """What decides the figures of a point beside its policy and its task."""
    shared = ("samples", "max_prompt_tokens", "max_completion_tokens")
    return {
        "mode": mode,
        "budget": budget,
        "thinking_budget": None if budget is None else settings.thinking_budget.at(budget).model_dump(mode="json"),
        "sampling": settings.sampling[mode],
        "engine": settings.engine.model_dump(mode="json", exclude=set(WITHOUT_EFFECT)),
        **{name: getattr(settings, name) for name in shared},
    }
