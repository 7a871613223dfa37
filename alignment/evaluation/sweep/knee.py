"""Where a budget curve stops rising: the budget beyond which more thinking is not clearly worth its tokens."""

from collections.abc import Mapping, Sequence
from typing import Any


def knee(points: Sequence[Mapping[str, Any]]) -> int | None:
    """The smallest budget whose accuracy lies within the interval of the best point, or above its lower end.

    The best point is the one with the highest accuracy, the one with the smallest budget among equals. None where fewer
    than two points have an accuracy, and where only the largest budget qualifies: that curve was still rising where the
    sweep ended. More problems make the interval narrower and move the knee to the right.
    """
    known = sorted((point for point in points if point["accuracy"] is not None), key=lambda point: point["budget"])
    if len(known) < 2:
        return None
    best = max(known, key=lambda point: (point["accuracy"], -point["budget"]))
    first = next(point for point in known if point["accuracy"] >= best["accuracy_low"])
    return None if first is known[-1] else int(first["budget"])
