"""ProcessBench (arXiv 2412.06559): does a scorer find the first wrong step of a solution, and accept a right one?

Pure arithmetic on step scores. Neighbours: job.py (scores rows with a model), evaluation/calibration.py, stress.py, best_of.py.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import flags_estimate

NO_ERROR = -1  # ProcessBench's label of a solution without a wrong step
MOST_THRESHOLDS = 400  # that are tried


@dataclass(frozen=True)
class Marked:
    """One solution: the index of its first wrong step, or NO_ERROR, and the score of each step.

    predicted: what a judge named in place of scores.
    """

    label: int
    scores: Sequence[float]
    predicted: int | None = None

    def found(self, threshold: float) -> int:
        """The first step that scores below the threshold, or what a judge named; NO_ERROR for none."""
        if self.predicted is not None:
            return self.predicted
        return next((place for place, one in enumerate(self.scores) if one < threshold), NO_ERROR)


@dataclass(frozen=True)
class BenchFigures:
    """Accuracy on solutions with an error (its exact step), on those without, and their harmonic mean."""

    with_error: Estimate
    without_error: Estimate
    f1: float
    errors: int
    right: int


def harmonic_mean(first: float, second: float) -> float:
    """2ab / (a + b), and 0 where both are 0."""
    return 2 * first * second / (first + second) if first + second > 0 else 0.0


def bench_figures(rows: Sequence[Marked], threshold: float) -> BenchFigures:
    """ProcessBench's figures at a threshold: F1 is 2 acc_error acc_correct / (acc_error + acc_correct), its section 3.3.

    A part without rows has accuracy None and makes F1 0.
    """
    wrong = [row.found(threshold) == row.label for row in rows if row.label != NO_ERROR]
    right = [row.found(threshold) == NO_ERROR for row in rows if row.label == NO_ERROR]
    first, second = flags_estimate(wrong), flags_estimate(right)
    return BenchFigures(first, second, harmonic_mean(first.value or 0.0, second.value or 0.0), len(wrong), len(right))


def best_threshold(rows: Sequence[Marked]) -> float:
    """The threshold with the highest F1 on these rows: take it from other rows than those that are measured.

    Candidates are midpoints of neighbouring scores; of equally good ones the one nearest 0.5 is taken.
    """
    scores = sorted({score for row in rows for score in row.scores})
    middles = [0.5, *((a + b) / 2 for a, b in itertools.pairwise(scores))]
    tried = middles[:: max(1, len(middles) // MOST_THRESHOLDS)]
    return max(tried, key=lambda one: (bench_figures(rows, one).f1, -abs(one - 0.5)))


def random_f1(rows: Sequence[Marked], draws: int = 20, seed: int = 0) -> float:
    """The F1 of step scores that are drawn at random, at the threshold that suits them best; the mean of some draws."""
    found = []
    for draw in range(draws):
        numbers = random.Random(f"{seed}:{draw}")
        drawn = [Marked(row.label, [numbers.random() for _ in row.scores]) for row in rows]
        found.append(max(bench_figures(drawn, step / 50).f1 for step in range(1, 50)))
    return sum(found) / len(found)
