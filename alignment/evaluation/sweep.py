"""Measures one policy at thinking budgets: accuracy, the tokens really spent, and what voting would make of the samples.

`measure` is one point, for the sweep that ends a recipe (runner.py) and for `alignment budget`. The latter starts
`python -m alignment.evaluation.sweep WORK --stage NAME` for each policy; every point is written when it is done.
Neighbours: sweep_plan.py (which points are missing), sweep_command.py (starts this), votes.py (the arithmetic).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from alignment.artifact import read_json
from alignment.data.rows import Mode, Problem
from alignment.errors import AlignmentError
from alignment.evaluation.answering import Evaluator, Question, correctness, outcome
from alignment.evaluation.metrics import Outcome, accuracy, certain
from alignment.evaluation.sweep_plan import Point, append_point
from alignment.evaluation.tasks import named_problems
from alignment.evaluation.votes import Ballot, vote_points
from alignment.launch import die_with_parent
from alignment.recipe.schema import Evaluations
from alignment.rollout.scoring import Judged
from rewards.answer import MathAnswer
from rewards.vote import answer_groups


@dataclass(frozen=True)
class Asked:
    """How the problems of a point are asked: the mode, the budget or None, and how often each."""

    mode: Mode
    budget: int | None = None
    samples: int = 1
    work: str | None = None  # what its progress is shown under


def measure(evaluator: Evaluator, problems: Sequence[Problem], asked: Asked, seed: int) -> dict[str, Any]:
    """The figures of one point (docs/run-directory.md); the same problems and draws for the same seed."""
    repeated = [problem for problem in problems for _ in range(asked.samples)]
    questions = [Question(problem, asked.mode, False, asked.budget) for problem in repeated]
    rows = evaluator.answers(questions, seed, asked.work)
    outcomes = [outcome(row) for row in rows]
    return {**point_figures(outcomes), "votes": _votes(rows) if asked.samples > 1 else []}


def point_figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Accuracy, tokens and shares with their intervals; shares and tokens are over all completions, judged or not."""
    return {
        **accuracy(outcomes),
        **certain("mean_thinking_tokens", outcomes, [one.thinking_tokens for one in outcomes]),
        **certain("mean_answer_tokens", outcomes, [one.answer_tokens for one in outcomes]),
        **certain("forced_share", outcomes, [one.forced for one in outcomes]),
        **certain("finished_share", outcomes, [one.finished for one in outcomes]),
        **certain("truncated_share", outcomes, [one.truncated for one in outcomes]),
    }


def _votes(rows: Sequence[Judged]) -> list[dict[str, Any]]:
    """What voting over the samples would score, on the problems that have one answer; empty where none has."""
    samples: dict[str, list[Judged]] = {}
    for row in rows:
        if row.problem.answer and correctness(row) is not None:
            samples.setdefault(row.problem.id, []).append(row)
    verifier = MathAnswer()
    try:
        groups = answer_groups([[row.completion.text for row in one] for one in samples.values()], verifier)
    finally:
        verifier.close()
    ballots = [
        [Ballot(number, correctness(row) == 1.0) for number, row in zip(numbers, one, strict=True)]
        for numbers, one in zip(groups, samples.values(), strict=True)
    ]
    return vote_points(ballots, sum(len(row.completion.token_ids) for row in rows) / len(rows) if rows else 0.0)


def main(
    work: Annotated[Path, typer.Argument(help="The file that says what is to be measured.")],
    stage: Annotated[str, typer.Option(help="The policy that this process measures.")],
) -> None:
    """Measure the missing points of one policy and add each to points.jsonl when it is done."""
    try:
        _run(read_json(work), stage)
    except AlignmentError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_status) from error


def _run(work: dict[str, Any], stage: str) -> None:
    settings = Evaluations.model_validate(work["settings"])
    missing = [Point(**facts) for facts in work["missing"] if facts["stage"] == stage]
    problems = {name: named_problems(settings, name, work["files"].get(name)) for name in {one.task for one in missing}}
    evaluator = Evaluator(settings, work["policies"][stage], stage, trust_remote_code=work["trust_remote_code"])
    for number, point in enumerate(missing, 1):
        title = f"{stage} on {point.task}, {point.described} ({number} of {len(missing)})"
        asked = Asked(point.mode, point.budget, settings.samples, title)
        found = measure(evaluator, problems[point.task], asked, settings.seed)
        facts = {"problems": len(problems[point.task]), "samples": settings.samples, "engine": evaluator.engine}
        append_point(Path(work["points"]), point, {**found, **facts})
    evaluator.close()


if __name__ == "__main__":
    die_with_parent()
    typer.run(main)
