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
    if len(values) < LEAST_STEPS:
        return None
    before, after = outer_quarters(values)
    change = fmean(after) - fmean(before)
    error = math.sqrt((variance(before) + variance(after)) / len(before))
    z = change / error if error > 0 else math.copysign(math.inf, change) if change else 0.0
    return Trend(fmean(before), fmean(after), z)
