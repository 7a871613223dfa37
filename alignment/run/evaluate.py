"""Evaluates the policy of a stage in both modes and writes evaluations/MODE.json and what goes with them.

`python -m alignment.run.evaluate RECIPE --stage NAME`; the pipeline starts it after every training stage. What is
there already is not measured again. Neighbours: measure.py (what is measured), sweep.py (a point of the budget sweep).
"""

from pathlib import Path
from typing import Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.files import write_json
from alignment.core.vocabulary import MODES
from alignment.evaluation.answering import Evaluator
from alignment.evaluation.identity import evaluation_identity, follow_identity, sweep_identity
from alignment.evaluation.job import measure_follow, measure_modes
from alignment.evaluation.sweep.job import Asked, measure
from alignment.evaluation.task import held_out
from alignment.run.plan import Pipeline


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    stage: Annotated[str, typer.Option(help="The stage whose policy is measured.")],
    run: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    budgets: Annotated[bool, typer.Option(help="Sweep the recipe's budgets too.")] = False,
) -> None:
    """Measure one stage and write thinking.json, non_thinking.json, what goes with them and, with --budgets, budget.json."""
    _run(Pipeline.load(recipe, [], run), stage, budgets)


def _run(pipeline: Pipeline, stage: str, budgets: bool) -> None:
    folder, settings = pipeline.folder(stage), pipeline.recipe.evaluations
    target, seed = folder.evaluations, settings.seed
    output_hash = folder.verified_manifest().output_hash
    problems = held_out(pipeline.recipe, settings.count, seed)
    evaluator = Evaluator(
        settings, str(folder.output), f"evaluate {stage}", trust_remote_code=pipeline.recipe.trust_remote_code
    )
    if not all((target / f"{mode}.json").exists() for mode in MODES):
        identity = evaluation_identity(settings, output_hash, seed)
        # The two modes come last: where they are, whatever goes with them is too.
        for name, found in measure_modes(evaluator, problems, seed).items():
            write_json(target / f"{name}.json", {"stage": stage, "identity": identity, **found})
    if settings.follow_turns > 1 and not (target / "follow.json").exists():
        identity = follow_identity(settings, output_hash, seed)
        found = measure_follow(evaluator, problems, seed)
        write_json(target / "follow.json", {"stage": stage, "identity": identity, **found})
    if budgets:
        points = [
            {"budget": budget, **measure(evaluator, problems, Asked("thinking", budget), seed)}
            for budget in settings.budgets
        ]
        write_json(
            target / "budget.json",
            {"stage": stage, "seed": seed, "identity": sweep_identity(settings, output_hash, seed), "points": points},
        )
    evaluator.close()


if __name__ == "__main__":
    run_child(main)
