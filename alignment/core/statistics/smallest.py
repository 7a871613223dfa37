"""The smallest setting that is not clearly worse than the best one: of a budget curve its knee, of a curve over rows the fewest.

A curve over rows has trainings for points, which differ by chance in more than their answers; so there every larger
number of rows has to qualify, too. Neighbours: intervals.py (the ends of an estimate), evaluation/sweep/knee.py and
run/trials/row_curve.py (who ask).
"""

from collections.abc import Sequence

from alignment.core.statistics.estimate import Estimate


def smallest_within(points: Sequence[tuple[int, Estimate]]) -> int | None:
    """The smallest setting whose accuracy lies within the interval of the best point, or above its lower end.

    The best point is the one with the highest accuracy, the one with the smallest setting among equals. None where fewer
    than two points have an accuracy, and where only the largest setting qualifies: that curve was still rising where it
    ended. More problems make the interval narrower and the smallest setting larger.
    """
    reached = _reached(points)
    first = next((setting for setting, enough in reached if enough), None)
    return None if len(reached) < 2 or first == reached[-1][0] else first


def smallest_from_which(points: Sequence[tuple[int, Estimate]]) -> int | None:
    """The smallest setting from which on every accuracy lies there. None as `smallest_within`, and where the last does not."""
    reached = _reached(points)
    first = max((place for place, (_, enough) in enumerate(reached) if not enough), default=-1) + 1
    return None if first >= len(reached) - 1 else reached[first][0]


def _reached(points: Sequence[tuple[int, Estimate]]) -> list[tuple[int, bool]]:
    """Settings from small to large, each with whether its accuracy lies within the interval of the best or above its lower end."""
    known = sorted(
        (setting, one.value, one.value if one.low is None else one.low)
        for setting, one in points
        if one.value is not None
    )
    low = max(known, key=lambda one: (one[1], -one[0]))[2] if known else 0.0
    return [(setting, accuracy >= low) for setting, accuracy, _ in known]
