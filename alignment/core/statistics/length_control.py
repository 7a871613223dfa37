"""The win rate that would be left if both answers were equally long: judges prefer long answers.

Length-controlled AlpacaEval's regression (arXiv 2404.04475, section 3) without its term for a prompt's difficulty, which needs the
answers of many models. Needs the standard library alone. Neighbours: intervals.py, evaluation/comparison/figures.py (uses it).
"""

import math
from collections.abc import Sequence

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.statistics.intervals import Z_95
from alignment.core.statistics.logistic import sigmoid

PRIOR_DEVIATION = 2.5  # of both coefficients in log-odds: weak, and keeps them finite where all pairs are won
STEPS, CLOSE = 50, 1e-10
LARGEST_STEP = 3.0  # of Newton's method, in log-odds


def length_controlled(won: Sequence[float], longer_by: Sequence[float], weight: float = 1.0) -> Estimate:
    """The probability of winning at equal lengths, with its 95% interval; unknown without pairs.

    log-odds of winning = quality + length * tanh(difference / its root mean square), fitted by maximum a posteriori under normal
    priors of deviation PRIOR_DEVIATION. The interval is that of the quality by Laplace's approximation. Where one side is always
    the longer one by as much, little tells quality from length, and the interval is wide.

    Args:
        won: 1 for a pair that the first side won, 0.5 for a tie, 0 for one that it lost.
        longer_by: by how much its answer is the longer one, in any unit.
        weight: independent pairs for each pair, below 1 where several are of one prompt.
    """
    if not won:
        return UNKNOWN
    scale = math.sqrt(sum(one * one for one in longer_by) / len(longer_by)) or 1.0
    lengths = [math.tanh(one / scale) for one in longer_by]
    quality, length = 0.0, 0.0
    for _ in range(STEPS):
        (up, along), (a, b, c) = _slopes(won, lengths, weight, quality, length)
        determinant = a * c - b * b
        step = ((c * up - b * along) / determinant, (a * along - b * up) / determinant)
        shrunk = min(1.0, LARGEST_STEP / max(abs(step[0]), abs(step[1]), LARGEST_STEP))
        quality, length = quality + shrunk * step[0], length + shrunk * step[1]
        if max(map(abs, step)) < CLOSE:
            break
    _, (a, b, c) = _slopes(won, lengths, weight, quality, length)
    half = Z_95 * math.sqrt(c / (a * c - b * b))
    return Estimate(*(sigmoid(one) for one in (quality, quality - half, quality + half))).rounded(4)


def _slopes(
    won: Sequence[float], lengths: Sequence[float], weight: float, quality: float, length: float
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """The gradient of the log posterior, and its negative Hessian as (aa, ab, bb)."""
    precision = PRIOR_DEVIATION**-2
    up, along, a, b, c = -precision * quality, -precision * length, precision, 0.0, precision
    for outcome, one in zip(won, lengths, strict=True):
        chance = sigmoid(quality + length * one)
        rest, curve = weight * (outcome - chance), weight * chance * (1 - chance)
        up, along = up + rest, along + rest * one
        a, b, c = a + curve, b + curve * one, c + curve * one * one
    return (up, along), (a, b, c)
