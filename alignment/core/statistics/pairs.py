"""Paired comparison: the difference of two fractions measured on the same problems, with its 95% interval.

Needs the standard library alone. Neighbours: intervals.py (one fraction), evaluation/measures/constraints.py (thinking
against non-thinking).
"""

import random
from collections.abc import Sequence
from typing import Literal

from alignment.core.statistics.intervals import Cluster

Pair = tuple[Cluster, Cluster]  # of one problem: (successes, samples) under the first condition and the second
Verdict = Literal["helps", "hurts", "no difference seen", "not measured"]
RESAMPLES = 2000
TAIL = 0.025  # fraction of the resamples on each side of the interval


def difference_interval(pairs: Sequence[Pair], seed: int = 0) -> tuple[float, float]:
    """95% percentile interval of (first fraction) - (second fraction); (-1, 1) without problems.

    A paired bootstrap over problems (Efron and Tibshirani 1993, chapter 13): both sides of a problem are drawn
    together, with all their samples. If all problems agree, a plain bootstrap's interval has no width. So two problems of
    mean size are added before drawing, one won by either side, as Bonett and Price (2012, doi
    10.3102/1076998611411915) add one to each discordant count.
    """
    if not pairs:
        return -1.0, 1.0
    first, second = (sum(pair[side][1] for pair in pairs) / len(pairs) for side in (0, 1))
    won, lost = ((first, first), (0.0, second)), ((0.0, first), (second, second))
    rows = [(a, b, c, d) for (a, b), (c, d) in (*pairs, won, lost)]
    draw = random.Random(seed)
    found = sorted(_difference(draw.choices(rows, k=len(rows))) for _ in range(RESAMPLES))
    cut = round(TAIL * RESAMPLES)
    return found[cut], found[-cut - 1]


def difference(pairs: Sequence[Pair]) -> float | None:
    """First fraction minus second fraction over all problems; None without problems."""
    return _difference([(a, b, c, d) for (a, b), (c, d) in pairs]) if pairs else None


def verdict(pairs: Sequence[Pair], interval: tuple[float, float]) -> Verdict:
    """`helps` or `hurts` if the whole interval lies on one side of zero, else `no difference seen`."""
    if not pairs:
        return "not measured"
    low, high = interval
    return "helps" if low > 0 else "hurts" if high < 0 else "no difference seen"


def _difference(rows: Sequence[tuple[float, float, float, float]]) -> float:
    first, first_size, second, second_size = (sum(column) for column in zip(*rows, strict=True))
    return first / first_size - second / second_size
