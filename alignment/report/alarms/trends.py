"""Trends: whether a metric has clearly risen or fallen over a stage's steps, which are noisy.

Neighbours: evidence.py (other figures of a stage), rewards.py and writing.py (which compare two trends).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

LEAST_STEPS = 8  # two in each quarter
CLEAR_Z = 3.0  # steps follow one another and are no independent draws


@dataclass(frozen=True)
class Trend:
    """A metric's mean in the first and in the last quarter of the steps. z: of their difference, by Welch's test."""

    first: float
    last: float
    z: float

    @property
    def change(self) -> float:
        """Last minus first."""
        return self.last - self.first

    @property
    def rises(self) -> bool:
        """Whether it is clearly higher at the end."""
        return self.z > CLEAR_Z

    @property
    def falls(self) -> bool:
        """Whether it is clearly lower at the end."""
        return self.z < -CLEAR_Z


def outer_quarters(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The first and the last quarter, of at least one value each."""
    quarter = max(1, len(values) // 4)
    return values[:quarter], values[-quarter:]


def trend(series: Sequence[tuple[float, float]]) -> Trend | None:
    """Of `(step, value)` in the order of steps; None with fewer than eight."""
    values = [value for _, value in series]
    return None if len(values) < LEAST_STEPS else _between(*outer_quarters(values))


def best_quarter(series: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """The first and the last step of the quarter whose mean is highest; None with fewer than eight steps."""
    if len(series) < LEAST_STEPS:
        return None
    size = len(series) // 4
    starts = [0, size, 2 * size, len(series) - size]
    best = max(starts, key=lambda start: fmean(value for _, value in series[start : start + size]))
    return series[best][0], series[best + size - 1][0]


def since(series: Sequence[tuple[float, float]], first: float, last: float) -> Trend | None:
    """From the values of some steps to the last quarter; None where either has fewer than two."""
    before = [value for step, value in series if first <= step <= last]
    _, after = outer_quarters([value for _, value in series])
    return None if min(len(before), len(after)) < 2 else _between(before, after)


def _between(before: Sequence[float], after: Sequence[float]) -> Trend:
    change = fmean(after) - fmean(before)
    error = math.sqrt(variance(before) / len(before) + variance(after) / len(after))
    z = change / error if error > 0 else math.copysign(math.inf, change) if change else 0.0
    return Trend(fmean(before), fmean(after), z)
