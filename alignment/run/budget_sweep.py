"""The budget sweep that ends a recipe (`evaluations.budgets`): its plan, and whether points of it are missing. Imports no torch.

It is the sweep of `alignment budget` at one sample a problem, in the same folder of the run and under the same keys.
Neighbours: evaluate.py (measures it), runner.py (asks whether it has to), commands/budget/ (the command).
"""

from pathlib import Path
from typing import TextIO

from alignment.core.locks import hold
from alignment.data.sources.declared import Table
from alignment.data.sources.named import load_source
from alignment.evaluation.identity import files_of
from alignment.evaluation.sweep.plan import SweepPlan, planned_points
from alignment.records.policies import named_policies
from alignment.records.sweep import FOLDER, SWEEP, Sweep
from alignment.run.plan import RunPlan

SAMPLES = 1  # of a problem at each point


def recipe_sweep(run_plan: RunPlan) -> SweepPlan:
    """The last trained stage at the recipe's budgets and without thinking. Raises ArtifactError while it is not there."""
    recipe = run_plan.recipe
    settings = recipe.evaluations.model_copy(update={"samples": SAMPLES})
    policies = named_policies(run_plan.run.path, [run_plan.trained_stages()[-1]])
    files = files_of(settings.after_each_stage, recipe)
    tables = [name for name in settings.after_each_stage if isinstance(load_source(name), Table)]
    return SweepPlan(
        policies=policies,
        points=list(planned_points(policies, settings, files)),
        settings=settings,
        output=run_plan.run.path / FOLDER,
        hardware=recipe.hardware.model_copy(update={"processes": 1}),
        files=files,
        trust_remote_code=recipe.trust_remote_code,
        offline=all(name in files for name in tables),
    )


def sweep_is_missing(run_plan: RunPlan) -> bool:
    """Whether the recipe asks for a sweep that is not measured to its end."""
    if not run_plan.recipe.evaluations.budgets:
        return False
    plan = recipe_sweep(run_plan)
    return not (plan.output / SWEEP).exists() or bool(plan.missing())


def holds_recipe_sweep(run_plan: RunPlan) -> bool:
    """Whether budget.json in a run directory is the recipe's own sweep, measured to its end."""
    path, last = run_plan.run.path / FOLDER / SWEEP, run_plan.trained_stages()[-1:]
    if not run_plan.recipe.evaluations.budgets or not path.exists() or not run_plan.folder(*last).finished:
        return False
    return Sweep.read(path).points == tuple(recipe_sweep(run_plan).measured())


def held_alone(output: Path) -> TextIO:
    """The lock of a sweep's folder, held until it is closed. Raises ArtifactError if another sweep is under way."""
    return hold(output / ".lock", "another sweep is under way here; wait for it, or write --output DIRECTORY")
