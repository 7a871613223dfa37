"""Adherence: thinking tokens against the target length in the question (records/evaluation.py, `target_lengths`).

Nothing ends the thinking from outside here. Neighbours: data/target_length.py (puts the length into the question),
evaluation/job.py (asks for this after both modes).
"""

from collections.abc import Sequence

from alignment.data.rows import Problem
from alignment.data.target_length import with_target_length
from alignment.evaluation.answering import Evaluator, Question, outcome
from alignment.evaluation.outcomes import mean_of, score
from alignment.records.evaluation import TargetLengthPoint


def adherence(evaluator: Evaluator, problems: Sequence[Problem], seed: int) -> tuple[TargetLengthPoint, ...]:
    """A point for each target length; the error of an answer is |thinking tokens - target| / target."""
    return tuple(_point(evaluator, problems, budget, seed) for budget in evaluator.settings.target_lengths)


def _point(evaluator: Evaluator, problems: Sequence[Problem], budget: int, seed: int) -> TargetLengthPoint:
    asked = [with_target_length(problem, budget) for problem in problems[: evaluator.settings.target_length_count]]
    asked = evaluator.fitting(asked)
    rows = evaluator.answers([Question(problem, "thinking", flagged=False) for problem in asked], seed)
    outcomes = [outcome(row) for row in rows]
    found = score(outcomes)
    off = [abs(one.thinking_tokens - budget) / budget for one in outcomes]
    return TargetLengthPoint(
        budget=budget,
        count=found.count,
        accuracy=found.accuracy,
        unknown=found.unknown,
        mean_thinking_tokens=mean_of(outcomes, [one.thinking_tokens for one in outcomes]),
        adherence_error=mean_of(outcomes, off, digits=4),
    )
