"""The knee of a budget curve: beyond it, more thinking is not clearly worth its tokens.

Neighbours: files.py (the knee of each curve), core/statistics/smallest.py (the rule), docs/evaluation.md (what it means).
"""

from collections.abc import Sequence

from alignment.core.statistics.smallest import smallest_within
from alignment.records.sweep import SweepPoint


def knee(points: Sequence[SweepPoint]) -> int | None:
    """The smallest budget whose accuracy is within the interval of the best point's, as `smallest_within`."""
    return smallest_within([
        (point.place.budget, point.figures.accuracy) for point in points if point.place.budget is not None
    ])  # fmt: skip
