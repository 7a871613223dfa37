"""How sure a figure is, at 95%: Wilson's interval for shares, Student's for means, both over problems.

Several samples of one problem are not as many independent observations: what varies is mostly which problems were
asked. So a figure comes as clusters, one for each problem, and its interval says how far the figure would move with
other problems of the same task. Standard library alone. Neighbours: metrics.py (what is averaged).
"""

import math
from collections.abc import Sequence
from typing import Any

Z_95 = 1.959963984540054
FEWEST_FOR_A_MEAN = 4  # problems; with fewer, Student's quantile is too wide and too inexact to print

Cluster = tuple[float, int]  # of one problem: the sum of its values, and how many there are


def wilson(successes: float, count: float) -> tuple[float, float]:
    """Wilson's score interval for a share at 95%; (0, 1) when nothing was counted."""
    if count == 0:
        return 0.0, 1.0
    share, z2 = successes / count, Z_95**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def fraction_interval(clusters: Sequence[Cluster]) -> tuple[float, float]:
    """Wilson's interval at the effective number of samples; with one sample of each problem, plainly Wilson's."""
    count = effective_count(clusters)
    if count == 0:
        return 0.0, 1.0
    share = sum(total for total, _ in clusters) / sum(size for _, size in clusters)
    return wilson(share * count, count)


def effective_count(clusters: Sequence[Cluster]) -> float:
    """How many independent samples a share is worth: the samples, divided by Kish's design effect.

    The design effect is the variance between problems over what independent samples would have (Kish 1965; used with
    Wilson's interval in Korn and Graubard 1998). The result lies between the number of problems, which is right where
    all samples of a problem agree or nothing varies at all, and the number of samples.
    """
    problems, samples = len(clusters), sum(size for _, size in clusters)
    if samples == problems or problems < 2:
        return problems
    share = sum(total for total, _ in clusters) / samples
    independent = share * (1 - share) / (samples - 1)
    if independent <= 0:
        return problems
    spread = sum((total - share * size) ** 2 for total, size in clusters)
    clustered = problems / (problems - 1) * spread / samples**2
    return min(samples, max(problems, samples * independent / clustered)) if clustered else samples


def mean_interval(clusters: Sequence[Cluster]) -> tuple[float | None, float | None]:
    """Student's interval of the mean over problems; (None, None) with fewer than FEWEST_FOR_A_MEAN of them."""
    problems, samples = len(clusters), sum(size for _, size in clusters)
    if problems < FEWEST_FOR_A_MEAN:
        return None, None
    mean = sum(total for total, _ in clusters) / samples
    spread = sum((total - mean * size) ** 2 for total, size in clusters)
    half = student(problems - 1) * math.sqrt(problems / (problems - 1) * spread) / samples
    return mean - half, mean + half


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t (Abramowitz and Stegun 26.7.5), within 1% from 3 degrees of freedom on."""
    z = Z_95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def as_text(found: dict[str, Any]) -> str:
    """`0.812 (0.764–0.853)`, or that nothing could be judged."""
    if found["accuracy"] is None:
        return f"unknown ({found['unknown']} answers could not be judged)"
    return f"{found['accuracy']:.3f} ({found['accuracy_low']:.3f}–{found['accuracy_high']:.3f})"
