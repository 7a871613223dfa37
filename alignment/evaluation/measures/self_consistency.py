"""Is a policy as sure as it is right? Its confidence in an answer is the fraction of its other samples that give the same one.

Self-consistency needs no log-probs, and so no engine of a kind (arXiv 2203.11171). The calibration error compares it
with how often such answers are right. Neighbours: rewards/vote.py (which answers are the same),
evaluation/calibration.py (the error).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.statistics.intervals import mean_estimate
from alignment.evaluation.calibration import calibration
from alignment.evaluation.grading import correctness
from alignment.recipe.blocks.evaluation import LEAST_SAMPLES
from alignment.rollout.scoring import Judged
from rewards.kinds.math_answer.verifier import MathAnswer
from rewards.vote import answer_groups


@dataclass(frozen=True)
class Confidence:
    """Answers whose confidence is known, their mean confidence, and the expected calibration error (arXiv 1706.04599)."""

    answers: int = 0
    mean: Estimate = UNKNOWN
    error: float | None = None


def self_consistency(rows: Sequence[Judged]) -> Confidence:
    """Of problems with a reference answer and four samples or more; a sample without an answer has no confidence."""
    by_problem: dict[str, list[Judged]] = {}
    for row in rows:
        if row.problem.answer and correctness(row) is not None:
            by_problem.setdefault(row.problem.id, []).append(row)
    several = [found for found in by_problem.values() if len(found) >= LEAST_SAMPLES]
    verifier = MathAnswer()
    groups = answer_groups([[row.trajectory.text for row in found] for found in several], verifier)
    verifier.close()
    sure, right, clusters = [], [], []
    for found, numbers in zip(several, groups, strict=True):
        known = [(number, row) for number, row in zip(numbers, found, strict=True) if number is not None]
        own = [(numbers.count(number) - 1) / (len(found) - 1) for number, _ in known]
        sure += own
        right += [correctness(row) or 0.0 for _, row in known]
        clusters += [(sum(own), len(own))] if own else []
    _, error = calibration(sure, right)
    return Confidence(
        len(sure), mean_estimate(clusters, 4) if sure else UNKNOWN, None if error is None else round(error, 4)
    )
