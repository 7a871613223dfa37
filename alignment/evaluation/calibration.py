"""Are step scores probabilities, and is the model still one of the process? Pure arithmetic on scores and labels.

Neighbours: evaluation/process/bench.py (the first wrong step), evaluation/process/stress.py (what else moves a score).
"""

from collections.abc import Sequence
from dataclasses import dataclass

BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Steps whose score lies in one tenth: how many, their mean score, and the fraction that is right."""

    steps: int
    mean_score: float
    right_fraction: float


def calibration(scores: Sequence[float], labels: Sequence[float]) -> tuple[list[CalibrationBin], float | None]:
    """The filled bins from low to high, and the expected calibration error (arXiv 1706.04599); None without steps."""
    placed: dict[int, list[tuple[float, float]]] = {}
    for score, label in zip(scores, labels, strict=True):
        placed.setdefault(min(BINS - 1, int(score * BINS)), []).append((score, label))
    bins = [
        CalibrationBin(len(found), sum(one for one, _ in found) / len(found), sum(one for _, one in found) / len(found))
        for _, found in sorted(placed.items())
    ]
    total = sum(one.steps for one in bins)
    error = sum(one.steps * abs(one.mean_score - one.right_fraction) for one in bins)
    return bins, error / total if total else None


def last_step_minima(scores: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Outcome drift: the fraction of solutions whose lowest score is on the last step, and that of a scorer by chance.

    Solutions of one step say nothing. Well above chance, a model scores outcomes and not steps (arXiv 2501.07301, 4.2).
    """
    several = [one for one in scores if len(one) > 1]
    if not several:
        return None, None
    last = sum(min(range(len(one)), key=one.__getitem__) == len(one) - 1 for one in several)
    return last / len(several), sum(1 / len(one) for one in several) / len(several)


def area_under_curve(scores: Sequence[float], right: Sequence[bool]) -> float | None:
    """The probability that a right solution scores above a wrong one, ties counting half; None without both."""
    ranked = sorted(zip(scores, right, strict=True))
    positives, negatives = sum(right), len(right) - sum(right)
    if not positives or not negatives:
        return None
    above, place = 0.0, 0
    below = 0  # wrong solutions with a smaller score
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        good = sum(one for _, one in ranked[place:end])
        bad = end - place - good
        above += good * (below + bad / 2)
        below += bad
        place = end
    return above / (positives * negatives)
