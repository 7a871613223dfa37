"""Spearman's rank correlation. Neighbours: preference.py and report/changes.py (who ask)."""

import statistics
from collections.abc import Sequence


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None under three pairs and where either side does not vary."""
    ranked = _ranks(first), _ranks(second)
    if len(first) < 3 or any(len(set(one)) < 2 for one in ranked):
        return None
    return statistics.correlation(*ranked)


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks
