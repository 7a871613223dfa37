"""What scores of pairs say: accuracy, how much of it length explains, and whether a difference means its probability.

Neighbours: intervals.py (the ends of an estimate), records/reward_model.py (what is recorded).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.statistics.intervals import wilson
from alignment.core.statistics.logistic import sigmoid
from alignment.core.statistics.ranks import rank_correlation

BINS = 10


@dataclass(frozen=True)
class ScoredPair:
    """Rewards and lengths in tokens of a chosen and a rejected answer."""

    chosen: float
    rejected: float
    chosen_length: int
    rejected_length: int

    @property
    def won(self) -> float:
        """1 if the chosen answer has the higher reward, 0.5 if the two are equal."""
        return _half(self.chosen - self.rejected)

    @property
    def longer_won(self) -> float:
        """1 if the chosen answer is the longer one, 0.5 if the two are equal."""
        return _half(self.chosen_length - self.rejected_length)


@dataclass(frozen=True)
class Bin:
    """Pairs of about the same confidence: how many, its mean, and the fraction in which the preferred answer is chosen."""

    pairs: int
    confidence: float
    right: float


def accuracy(pairs: Sequence[ScoredPair]) -> Estimate:
    """Fraction of pairs whose chosen answer has the higher reward, with Wilson's interval."""
    return _fraction([one.won for one in pairs])


def length_alone(pairs: Sequence[ScoredPair]) -> Estimate:
    """Accuracy of preferring the longer answer."""
    return _fraction([one.longer_won for one in pairs])


def prefers_longer(pairs: Sequence[ScoredPair]) -> Estimate:
    """Fraction of pairs of different lengths in which the answer with the higher reward is the longer one."""
    return _fraction([
        _half((one.chosen - one.rejected) * (one.chosen_length - one.rejected_length))
        for one in pairs
        if one.chosen_length != one.rejected_length
    ])  # fmt: skip


def accuracy_if_shorter(pairs: Sequence[ScoredPair]) -> Estimate:
    """Accuracy on the pairs whose chosen answer is the shorter one."""
    return accuracy([one for one in pairs if one.chosen_length < one.rejected_length])


def length_correlation(pairs: Sequence[ScoredPair]) -> float | None:
    """Spearman's rank correlation of reward and length over all answers; None where either does not vary."""
    rewards = [score for one in pairs for score in (one.chosen, one.rejected)]
    lengths = [float(length) for one in pairs for length in (one.chosen_length, one.rejected_length)]
    return rank_correlation(rewards, lengths)


def calibration(pairs: Sequence[ScoredPair]) -> tuple[Bin, ...]:
    """Bins of equal width of the preferred answer's probability, from 0.5 to 1; empty ones are left out."""
    held: dict[int, list[tuple[float, float]]] = {}
    for one in pairs:
        confidence = sigmoid(abs(one.chosen - one.rejected))
        held.setdefault(min(int((confidence - 0.5) * 2 * BINS), BINS - 1), []).append((confidence, one.won))
    return tuple(
        Bin(len(found), statistics.fmean(one for one, _ in found), statistics.fmean(won for _, won in found))
        for _, found in sorted(held.items())
    )


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Expected calibration error (arXiv 1706.04599, section 2): the bins' mean distance, weighed by their pairs."""
    total = sum(one.pairs for one in bins)
    return sum(one.pairs * abs(one.right - one.confidence) for one in bins) / total if total else None


def _half(difference: float) -> float:
    return 1.0 if difference > 0 else 0.5 if difference == 0 else 0.0


def _fraction(values: Sequence[float]) -> Estimate:
    if not values:
        return UNKNOWN
    return Estimate(statistics.fmean(values), *wilson(sum(values), len(values)))
