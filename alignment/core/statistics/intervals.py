"""95% confidence intervals: Wilson's for fractions, Student's for means, both clustered by problem.

Several samples of one problem are not independent observations. So a figure is given as clusters, one for each problem,
and its interval says how far the figure would move with other problems of the same task. Needs the standard library
alone. Neighbours: pairs.py (paired differences), evaluation/measures/ (the figures).
"""

import math
from collections.abc import Sequence

from alignment.core.statistics.estimate import Estimate

Z_95 = 1.959963984540054
MIN_PROBLEMS_FOR_MEAN = 4  # with fewer, Student's quantile is too wide and too inexact to print

Cluster = tuple[float, int]  # of one problem: the sum of its values, and how many there are


def wilson(successes: float, count: float) -> tuple[float, float]:
    """Wilson's 95% score interval (Wilson 1927) for a fraction; (0, 1) for a count of 0."""
    if count == 0:
        return 0.0, 1.0
    fraction, z2 = successes / count, Z_95**2
    centre = (fraction + z2 / (2 * count)) / (1 + z2 / count)
    half = Z_95 * math.sqrt(fraction * (1 - fraction) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def fraction_interval(clusters: Sequence[Cluster]) -> tuple[float, float]:
    """Wilson's interval at the effective number of samples; plain Wilson's with one sample per problem."""
    count = effective_count(clusters)
    if count == 0:
        return 0.0, 1.0
    fraction = sum(total for total, _ in clusters) / sum(size for _, size in clusters)
    return wilson(fraction * count, count)


def effective_count(clusters: Sequence[Cluster]) -> float:
    """Effective number of independent samples: the samples, divided by Kish's design effect.

    The design effect is the variance between problems over that of independent samples (Kish 1965; with Wilson's
    interval in Korn and Graubard 1998). The result lies between the number of problems and the number of samples. It is
    the number of problems if all samples of a problem agree.
    """
    problems, samples = len(clusters), sum(size for _, size in clusters)
    if samples == problems or problems < 2:
        return problems
    fraction = sum(total for total, _ in clusters) / samples
    independent = fraction * (1 - fraction) / (samples - 1)
    if independent <= 0:
        return problems
    spread = sum((total - fraction * size) ** 2 for total, size in clusters)
    clustered = problems / (problems - 1) * spread / samples**2
    return min(samples, max(problems, samples * independent / clustered)) if clustered else samples


def mean_interval(clusters: Sequence[Cluster]) -> tuple[float | None, float | None]:
    """Student's 95% interval of the mean over problems; (None, None) below MIN_PROBLEMS_FOR_MEAN problems."""
    problems, samples = len(clusters), sum(size for _, size in clusters)
    if problems < MIN_PROBLEMS_FOR_MEAN:
        return None, None
    mean = sum(total for total, _ in clusters) / samples
    spread = sum((total - mean * size) ** 2 for total, size in clusters)
    half = student(problems - 1) * math.sqrt(problems / (problems - 1) * spread) / samples
    return mean - half, mean + half


def student(freedom: int) -> float:
    """The 97.5% quantile of Student's t, exact to 1% from 3 degrees of freedom (Abramowitz and Stegun 26.7.5)."""
    z = Z_95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def fraction_estimate(clusters: Sequence[Cluster]) -> Estimate:
    """A fraction with Wilson's interval; unknown, with everything possible, where there is nothing to average."""
    return Estimate(_mean(clusters), *fraction_interval(clusters)).rounded(4)


def flags_estimate(flags: Sequence[bool]) -> Estimate:
    """The fraction of flags that are set, each of a problem of its own, with Wilson's interval; nothing is known without any."""
    if not flags:
        return Estimate(None)
    return Estimate(sum(flags) / len(flags), *wilson(sum(flags), len(flags))).rounded(4)


def mean_estimate(clusters: Sequence[Cluster], digits: int = 2) -> Estimate:
    """A mean with Student's interval over problems."""
    return Estimate(_mean(clusters), *mean_interval(clusters)).rounded(digits)


def _mean(clusters: Sequence[Cluster]) -> float | None:
    count = sum(size for _, size in clusters)
    return sum(total for total, _ in clusters) / count if count else None


def as_text(accuracy: Estimate, unknown: int) -> str:
    """Format an accuracy with its interval: `0.812 (0.764–0.853)`, or say that no answer could be judged."""
    if accuracy.value is None or accuracy.low is None or accuracy.high is None:
        return f"unknown ({unknown} answers could not be judged)"
    return f"{accuracy.value:.3f} ({accuracy.low:.3f}–{accuracy.high:.3f})"
