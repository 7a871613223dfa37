"""Evaluates the policy of a stage in both modes and writes evaluations/MODE.json and further files.

`python -m alignment.run.evaluate RECIPE --stage NAME`; the runner starts it after every training stage, and before the first
one without a name where the recipe asks for the model that the run starts from. Existing files are kept, and the sweep over
the recipe's budgets resumes point by point. Neighbours: evaluation/job.py (the measurements), evaluation/sweep/ (points and
their files), budget_sweep.py (the recipe's plan).
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.vocabulary import MODES
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.identity import evaluation_identity, follow_identity, paired_identity
from alignment.evaluation.job import measure_follow, measure_modes
from alignment.evaluation.measures.paired_prompts import measure_paired_prompts
from alignment.evaluation.sweep.files import write_sweep
from alignment.evaluation.sweep.job import measure_point
from alignment.evaluation.task import entry_of, held_out, named_problems
from alignment.records.run_folder import BASE_MODEL
from alignment.run.budget_sweep import held_alone, recipe_sweep
from alignment.run.plan import RunPlan

PAIRED = "paired_prompts.json"


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    stage: Annotated[
        str | None, typer.Option(help="The stage whose policy is measured; none: what the run starts from.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    budgets: Annotated[bool, typer.Option(help="Sweep the recipe's budgets too.")] = False,
) -> None:
    """Measure one stage in both modes and, with --budgets, at each thinking budget."""
    _run(RunPlan.load(recipe, [], run), stage, budgets)


def _run(run_plan: RunPlan, name: str | None, budgets: bool) -> None:
    settings, stage = run_plan.recipe.evaluations, name or BASE_MODEL
    (folder, output_hash), seed = run_plan.evaluated(name), settings.seed
    target = folder.evaluations
    problems = held_out(run_plan.recipe, settings.count, seed)
    trusts = run_plan.recipe.trust_remote_code
    policy = run_plan.base.local() if name is None else str(folder.output)
    evaluator = Evaluator(settings, policy, f"evaluate {stage}", trust_remote_code=trusts)
    if not all((target / f"{mode}.json").exists() for mode in MODES):
        identity = evaluation_identity(run_plan.recipe, output_hash)
        measure_modes(evaluator, problems, seed).write(target, stage, identity)
    if settings.follow_turns > 1 and not (target / "follow.json").exists():
        identity = follow_identity(run_plan.recipe, output_hash)
        replace(measure_follow(evaluator, problems, seed), stage=stage, identity=identity).write(target / "follow.json")
    table = settings.paired_prompts
    if table is not None and not (target / PAIRED).exists():
        identity = paired_identity(run_plan.recipe, output_hash)
        replace(measure_paired_prompts(evaluator, table), stage=stage, identity=identity).write(target / PAIRED)
    if budgets:
        _sweep(run_plan, evaluator)
    evaluator.close()


def _sweep(run_plan: RunPlan, evaluator: Evaluator) -> None:
    """Measure the points of the recipe's own sweep that are not recorded yet; each is when it is done."""
    plan = recipe_sweep(run_plan)
    with held_alone(plan.output):
        missing = plan.missing()
        for number, point in enumerate(missing, 1):
            task = point.place.task
            problems = named_problems(plan.settings, task, plan.files.get(entry_of(plan.settings, task)))
            title = f"{task}, {point.place.described} ({number} of {len(missing)})"
            measure_point(evaluator, problems, point, plan.output, title)
        write_sweep(plan)


if __name__ == "__main__":
    run_child(main)
