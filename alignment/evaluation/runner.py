"""Evaluates the policy of a stage in both modes and writes evaluations/MODE.json.

Accuracy is measured with the template's switch, which is how a served model is asked; think-follow with the flag
alone (`/think`, `/no_think`), which leaves it to the policy to open or skip the think block.
`python -m alignment.evaluation.runner RECIPE --stage NAME`; the pipeline starts it after every training stage.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from alignment.artifact import write_json
from alignment.data.rows import MODES, Mode, Problem
from alignment.data.told import tell
from alignment.errors import AlignmentError
from alignment.evaluation.answering import Evaluator, Question, correctness, outcome
from alignment.evaluation.identity import evaluation_identity, sweep_identity
from alignment.evaluation.metrics import accuracy, certain, figures, share
from alignment.evaluation.sweep import Asked, measure
from alignment.evaluation.tasks import held_out
from alignment.launch import die_with_parent
from alignment.pipeline import Pipeline
from alignment.rollout.scoring import Judged
from rewards.format import follows_mode

KEPT_SAMPLES = 24


def evaluate(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> dict[Mode, dict[str, Any]]:
    """The figures of both modes for one policy (docs/run-directory.md)."""
    repeated = [problem for problem in problems for _ in range(evaluator.settings.samples)]
    followed = problems[: evaluator.settings.follow_count]
    found: dict[Mode, dict[str, Any]] = {}
    for mode in MODES:
        started = time.monotonic()
        asked = evaluator.answers([Question(problem, mode, flagged=False) for problem in repeated], seed)
        flagged = evaluator.answers([Question(problem, mode, flagged=True) for problem in followed], seed)
        found[mode] = {
            "mode": mode,
            "seed": seed,
            **figures([outcome(row) for row in asked]),
            "think_follow": share([follows_mode(row.completion.text, mode) for row in flagged]),
            "think_follow_count": len(flagged),
            "seconds": round(time.monotonic() - started, 1),
            "engine": evaluator.engine,
            "samples": [_sample(row) for row in asked[:KEPT_SAMPLES]],
        }
    if evaluator.settings.told_budgets:
        found["thinking"]["told_budgets"] = adherence(evaluator, problems, seed)
    return found


def adherence(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> list[dict[str, Any]]:
    """How near the thinking comes to what a question asks for: a point per told budget (docs/run-directory.md)."""
    points = []
    for budget in evaluator.settings.told_budgets:
        asked = [tell(problem, budget) for problem in problems[: evaluator.settings.told_count]]
        rows = evaluator.answers([Question(problem, "thinking", flagged=False) for problem in asked], seed)
        outcomes = [outcome(row) for row in rows]
        off = [abs(one.thinking_tokens - budget) / budget for one in outcomes]
        points.append(
            {
                "budget": budget,
                **accuracy(outcomes),
                **certain("mean_thinking_tokens", outcomes, [one.thinking_tokens for one in outcomes]),
                **certain("adherence_error", outcomes, off),
            }
        )
    return points


def _sample(row: Judged) -> dict[str, Any]:
    return {
        "task": row.problem.family,
        "question": row.problem.question,
        "answer": row.problem.answer,
        "text": row.completion.text,
        "correct": correctness(row) == 1.0,
        "thinking_tokens": row.completion.thinking_tokens,
    }


def main(
    recipe: Annotated[Path, typer.Argument(help="The recipe's YAML file.")],
    stage: Annotated[str, typer.Option(help="The stage whose policy is measured.")],
    run: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    set: Annotated[list[str] | None, typer.Option(help="Override path.by.name=value.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed for procedural tasks.")] = None,
    budgets: Annotated[bool, typer.Option(help="Sweep the recipe's budgets too.")] = False,
    output: Annotated[Path | None, typer.Option(help="Where to write; left out, the stage's evaluations/.")] = None,
) -> None:
    """Measure one stage and write thinking.json, non_thinking.json and, with --budgets, budget.json."""
    try:
        _run(Pipeline.load(recipe, set or [], run), stage, seed, budgets, output)
    except AlignmentError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error


def _run(pipeline: Pipeline, stage: str, seed: int | None, budgets: bool, output: Path | None) -> None:
    folder, settings = pipeline.folder(stage), pipeline.recipe.evaluations
    target = output or folder.evaluations
    seed = settings.seed if seed is None else seed
    output_hash = folder.verified_manifest().output_hash
    identity = evaluation_identity(settings, output_hash, seed)
    problems = held_out(pipeline.recipe, settings.count, seed)
    evaluator = Evaluator(
        settings, str(folder.output), f"evaluate {stage}", trust_remote_code=pipeline.recipe.trust_remote_code
    )
    if output is not None or not all((target / f"{mode}.json").exists() for mode in MODES):
        for mode, found in evaluate(evaluator, problems, seed).items():
            write_json(target / f"{mode}.json", {"stage": stage, "identity": identity, **found})
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
    die_with_parent()
    typer.run(main)
