"""Measures one policy at thinking budgets: accuracy, the tokens really spent, and what voting would make of the samples.

`measure_point` is one point, for the sweep that ends a recipe (run/evaluate.py) and for `alignment budget`. The latter
starts `python -m alignment.evaluation.sweep.job WORK --stage NAME` for each policy; a point is written when it is done.
Neighbours: plan.py (which points are missing), records/sweep.py (what is kept of each point and problem), votes.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.entry import run_child
from alignment.core.vocabulary import Mode
from alignment.data.generators.families import problem_key
from alignment.data.rows import Problem
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.evaluation.grading import correctness
from alignment.evaluation.outcomes import Outcome, fraction_of, mean_of, score
from alignment.evaluation.sweep.plan import Point, SweepWork
from alignment.evaluation.sweep.votes import Ballot, vote_points
from alignment.evaluation.task import entry_of, named_problems
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.records.sweep import (
    POINTS,
    ProblemOutcome,
    RecordedPoint,
    SweepFigures,
    SweepPoint,
    VotePoint,
    write_outcomes,
)
from alignment.rollout.scoring import Judged
from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.vote import answer_groups


@dataclass(frozen=True)
class Asked:
    """How the problems of a point are asked: the mode, the budget or None, and how often each."""

    mode: Mode
    budget: int | None = None
    samples: int = 1
    work: str | None = None  # what its progress is shown under


@dataclass(frozen=True)
class Answered:
    """One problem's judged samples, and for each of them the group of its answer among these, or None."""

    samples: Sequence[Judged]
    groups: Sequence[int | None]

    def ballots(self) -> list[Ballot]:
        """The samples that could be judged, as votes."""
        pairs = zip(self.groups, map(correctness, self.samples), strict=True)
        return [Ballot(group, score == 1.0) for group, score in pairs if score is not None]

    def as_outcome(self) -> ProblemOutcome:
        """What is recorded of the problem, for whoever wants more than the means."""
        made = [row.trajectory for row in self.samples]
        scores = [correctness(row) for row in self.samples]
        return ProblemOutcome(
            problem=problem_key(self.samples[0].problem.text),
            prompt_tokens=len(made[0].prompt_ids),
            correct=tuple(None if score is None else score == 1.0 for score in scores),
            thinking_tokens=tuple(one.thinking_tokens for one in made),
            answer_tokens=tuple(one.answer_tokens for one in made),
            groups=tuple(self.groups),
        )


def measure_point(
    evaluator: Evaluator, problems: Sequence[Problem], point: Point, output: Path, work: str | None = None
) -> SweepPoint:
    """Measure a point and record it in a sweep's folder, outcomes first; progress is shown under the name of the work.

    The same problems and draws for the same seed. Raises ArtifactError if it cannot be written.
    """
    settings, place = evaluator.settings, point.place
    given, problems = len(problems), evaluator.fitting(problems)
    asked = Asked(place.mode, place.budget, settings.samples, work)
    each = answered(evaluator, problems, asked, settings.seed)
    too_long = given - len(problems) or None
    found = SweepPoint(place, figures_of(each), len(problems), settings.samples, evaluator.engine, too_long)
    write_outcomes(output, point.key, [problem.as_outcome() for problem in each])
    RecordedPoint(point.key, found, point.identity).append(output / POINTS)
    return found


def answered(evaluator: Evaluator, problems: Sequence[Problem], asked: Asked, seed: int) -> list[Answered]:
    """The problems in order, each with its judged samples and, of several, the group of each one's answer."""
    repeated = [problem for problem in problems for _ in range(asked.samples)]
    questions = [Question(problem, asked.mode, False, asked.budget) for problem in repeated]
    rows = evaluator.answers(questions, seed, asked.work)
    samples = [rows[start : start + asked.samples] for start in range(0, len(rows), asked.samples)]
    return [Answered(one, groups) for one, groups in zip(samples, _groups(samples), strict=True)]


def figures_of(problems: Sequence[Answered]) -> SweepFigures:
    """The figures of a point, and what voting over the samples would make of it."""
    outcomes = [outcome(row) for problem in problems for row in problem.samples]
    several = any(len(problem.samples) > 1 for problem in problems)
    return point_figures(outcomes, _votes(problems) if several else ())


def point_figures(outcomes: Sequence[Outcome], votes: tuple[VotePoint, ...] = ()) -> SweepFigures:
    """Accuracy, tokens and fractions with their intervals; all but accuracy are over all completions, judged or not."""
    found = score(outcomes)
    return SweepFigures(
        count=found.count,
        accuracy=found.accuracy,
        unknown=found.unknown,
        mean_thinking_tokens=mean_of(outcomes, [one.thinking_tokens for one in outcomes]),
        mean_answer_tokens=mean_of(outcomes, [one.answer_tokens for one in outcomes]),
        forced_fraction=fraction_of(outcomes, [one.forced for one in outcomes]),
        finished_fraction=fraction_of(outcomes, [one.finished for one in outcomes]),
        truncated_fraction=fraction_of(outcomes, [one.truncated for one in outcomes]),
        votes=votes,
    )


def _groups(samples: Sequence[Sequence[Judged]]) -> list[list[int | None]]:
    """Which answers to each problem are the same. A single sample, or a problem without an answer, has none."""
    comparable = [index for index, one in enumerate(samples) if len(one) > 1 and one[0].problem.answer]
    found: list[list[int | None]] = [[None] * len(one) for one in samples]
    verifier = MathAnswer()
    try:
        texts = [[row.trajectory.text for row in samples[index]] for index in comparable]
        for index, groups in zip(comparable, answer_groups(texts, verifier), strict=True):
            found[index] = groups
    finally:
        verifier.close()
    return found


def _votes(problems: Sequence[Answered]) -> tuple[VotePoint, ...]:
    """What voting over the samples would score, on the problems that have one answer; empty where none has."""
    ballots = [problem.ballots() for problem in problems if problem.samples[0].problem.answer]
    spent = [row.trajectory.policy_tokens for problem in problems for row in problem.samples]
    return vote_points([one for one in ballots if one], sum(spent) / len(spent) if spent else 0.0)


def main(
    work: Annotated[Path, typer.Argument(help="The file that says what is to be measured.")],
    stage: Annotated[str, typer.Option(help="The policy that this process measures.")],
) -> None:
    """Measure the missing points of one policy and add each to points.jsonl when it is done."""
    _run(SweepWork.read(work), stage)


def _run(work: SweepWork, stage: str) -> None:
    settings = Evaluations.model_validate(work.settings)
    missing = [point for point in work.missing if point.place.stage == stage]
    names = {point.place.task for point in missing}
    problems = {name: named_problems(settings, name, work.files.get(entry_of(settings, name))) for name in names}
    evaluator = Evaluator(settings, work.policies[stage], stage, trust_remote_code=work.trust_remote_code)
    for number, point in enumerate(missing, 1):
        title = f"{stage} on {point.place.task}, {point.place.described} ({number} of {len(missing)})"
        measure_point(evaluator, problems[point.place.task], point, Path(work.output), title)
    evaluator.close()


if __name__ == "__main__":
    run_child(main)
