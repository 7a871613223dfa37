"""The smallest setting that is not clearly worse than the best one: of a budget curve its knee, of a curve over rows the fewest.

Neighbours: intervals.py (the ends of an estimate), evaluation/sweep/knee.py and run/row_curve.py (who ask).
"""

from collections.abc import Sequence

from alignment.core.statistics.estimate import Estimate


def smallest_within(points: Sequence[tuple[int, Estimate]]) -> int | None:
    """The smallest setting whose accuracy lies within the interval of the best point, or above its lower end.

    The best point is the one with the highest accuracy, the one with the smallest setting among equals. None where fewer
    than two points have an accuracy, and where only the largest setting qualifies: that curve was still rising where it
    ended. More problems make the interval narrower and the smallest setting larger.
    """
    known = sorted(
        (setting, one.value, one.value if one.low is None else one.low)
        for setting, one in points
        if one.value is not None
    )
    if len(known) < 2:
        return None
    _, _, low = max(known, key=lambda one: (one[1], -one[0]))
    first = next(setting for setting, accuracy, _ in known if accuracy >= low)
    return None if first == known[-1][0] else first
