"""The same problems answered in two ways: how sure the difference of their shares is. Standard library alone.

Neighbours: intervals.py (one share by itself), constraints.py (thinking against not thinking).
"""

import random
from collections.abc import Sequence
from typing import Literal

from alignment.core.statistics.intervals import Cluster

Pair = tuple[Cluster, Cluster]  # of one problem: (followed, asked) with thinking, and without
Verdict = Literal["helps", "hurts", "no difference seen", "not measured"]
RESAMPLES = 2000
OUTSIDE = 0.025  # of the resamples, on each side of the interval


def difference_interval(pairs: Sequence[Pair], seed: int = 0) -> tuple[float, float]:
    """The percentile interval at 95% of (share of the first) - (share of the second) over resampled problems.

    A paired bootstrap over problems (Efron and Tibshirani 1993, chapter 13): both answers to a problem are drawn
    together, with all its samples and constraints. Drawn from problems that hardly differ, a plain bootstrap would be
    far too sure: from problems that all agree, its interval has no width. So two problems of mean size are added before
    drawing, one won by either side, as Bonett and Price (2012, doi 10.3102/1076998611411915) add one to each discordant
    count. Where there is no problem, nothing is known: (-1, 1).
    """
    if not pairs:
        return -1.0, 1.0
    first, second = (sum(pair[side][1] for pair in pairs) / len(pairs) for side in (0, 1))
    won, lost = ((first, first), (0.0, second)), ((0.0, first), (second, second))
    rows = [(a, b, c, d) for (a, b), (c, d) in (*pairs, won, lost)]
    draw = random.Random(seed)
    found = sorted(_difference(draw.choices(rows, k=len(rows))) for _ in range(RESAMPLES))
    cut = round(OUTSIDE * RESAMPLES)
    return found[cut], found[-cut - 1]


def difference(pairs: Sequence[Pair]) -> float | None:
    """The share of the first minus the share of the second, over everything asked; None where nothing was."""
    return _difference([(a, b, c, d) for (a, b), (c, d) in pairs]) if pairs else None


def verdict(pairs: Sequence[Pair], interval: tuple[float, float]) -> Verdict:
    """helps or hurts only where the whole interval lies on one side of zero."""
    if not pairs:
        return "not measured"
    low, high = interval
    return "helps" if low > 0 else "hurts" if high < 0 else "no difference seen"


def _difference(rows: Sequence[tuple[float, float, float, float]]) -> float:
    followed, asked, other, other_asked = (sum(column) for column in zip(*rows, strict=True))
    return followed / asked - other / other_asked
