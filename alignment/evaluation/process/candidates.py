"""Samples of a policy on a task with the step scores of a process reward model: what best of N chooses from.

Neighbours: ../answering.py (samples and grades), best_of.py (the curve), measure.py.
"""

from collections.abc import Sequence

from alignment.core.vocabulary import Mode
from alignment.data.rows import Problem
from alignment.evaluation.answering import Evaluator, Question
from alignment.evaluation.calibration import area_under_curve
from alignment.evaluation.grading import correctness
from alignment.evaluation.process.best_of import Candidate
from alignment.inference.process_model import Solution, StepModel
from alignment.inference.reward_model import RewardModel
from alignment.recipe.blocks.process import Aggregate, aggregated
from alignment.rollout.scorers.reward_model import verdicts_of
from alignment.rollout.scoring import Judged
from rewards.contract import after_thinking


def candidates(
    evaluator: Evaluator,
    model: StepModel,
    problems: Sequence[Problem],
    samples: int,
    mode: Mode,
    seed: int,
    outcome: RewardModel | None = None,
) -> list[list[Candidate]]:
    """`samples` answers to each problem. Those whose correctness is unknown are left out; too long ones score nothing.

    outcome: scores whole answers, where it is given.
    """
    asked = [Question(problem, mode, flagged=False) for problem in problems for _ in range(samples)]
    judged = evaluator.answers(asked, seed)
    solutions = [
        Solution.of(
            [dict(one) for one in row.trajectory.opening.messages],
            row.trajectory.text,
            model.rule.split(row.trajectory.text),
        )
        for row in judged
    ]
    wholes: Sequence[float | None] = outcome_scores(outcome, judged) if outcome is not None else [None] * len(judged)
    scored = list(zip(judged, model.scores(solutions), wholes, strict=True))
    found = [
        [
            _candidate(row, score or [], whole)
            for row, score, whole in scored[start : start + samples]
            if correctness(row) is not None
        ]
        for start in range(0, len(judged), samples)
    ]
    return [one for one in found if len(one) == samples]


def answers_auc(problems: Sequence[Sequence[Candidate]], how: Aggregate) -> float | None:
    """The probability that a right answer's score is above a wrong one's, over all answers that have a score."""
    scored = [(aggregated(one.scores, how), one.right) for problem in problems for one in problem]
    known = [(score, right) for score, right in scored if score is not None]
    found = area_under_curve([score for score, _ in known], [right for _, right in known])
    return None if found is None else round(found, 4)


def outcome_scores(model: RewardModel, judged: Sequence[Judged]) -> list[float | None]:
    """A reward model's score of each whole conversation; None for one that it cannot read or gives no finite score."""
    return [verdict.score for verdict in verdicts_of(model, [row.trajectory for row in judged])]


def _candidate(row: Judged, scores: Sequence[float], outcome: float | None) -> Candidate:
    made = row.trajectory
    finished = made.stop_reason == "end"
    answer = " ".join(after_thinking(made.text).split()) if finished else None
    right, tokens = correctness(row) == 1.0, len(made.token_ids)
    return Candidate(scores if finished else [], answer or None, right, tokens, outcome if finished else None)
