"""The knee of a budget curve: beyond it, more thinking is not clearly worth its tokens.

Neighbours: files.py (the knee of each curve), docs/evaluation.md (what it means).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alignment.core.statistics.estimate import Estimate
from alignment.records.sweep import SweepPoint


@dataclass(frozen=True)
class _Known:
    budget: int
    accuracy: float
    low: float


def knee(points: Sequence[SweepPoint]) -> int | None:
    """The smallest budget whose accuracy lies within the interval of the best point, or above its lower end.

    The best point is the one with the highest accuracy, the one with the smallest budget among equals. None where fewer
    than two points have an accuracy, and where only the largest budget qualifies: that curve was still rising where the
    sweep ended. More problems make the interval narrower and move the knee to the right.
    """
    measured = [_known(point.place.budget, point.figures.accuracy) for point in points]
    known = sorted((one for one in measured if one is not None), key=lambda one: one.budget)
    if len(known) < 2:
        return None
    best = max(known, key=lambda one: (one.accuracy, -one.budget))
    first = next(one for one in known if one.accuracy >= best.low)
    return None if first is known[-1] else first.budget


def _known(budget: int | None, accuracy: Estimate) -> _Known | None:
    if budget is None or accuracy.value is None:
        return None
    return _Known(budget, accuracy.value, accuracy.value if accuracy.low is None else accuracy.low)
