"""Mixtures to try: drawn from a Dirichlet distribution, and of those the ones that lie far from each other.

RegMix (arXiv 2407.01492, section 3) draws hundreds; with a dozen trials, distance takes the place of number.
Neighbours: regression.py (predicts their accuracy), run/trials/mixture_search.py (trains on them).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mixtures = npt.NDArray[np.float64]  # (M, G): the fractions of G groups in M mixtures


def drawn(count: int, groups: int, most: Sequence[float], seed: int) -> Mixtures:
    """(count, G) fractions, uniform over all mixtures in which no group has more than its most.

    Those above are cut, and what is over goes to the other groups in proportion.
    """
    found = np.random.default_rng(seed).dirichlet(np.ones(groups), count)
    return within(found, most)


def within(mixtures: Mixtures, most: Sequence[float]) -> Mixtures:
    """The mixtures with no group above its most; the fractions of each still sum to 1."""
    limits, found = np.asarray(most, dtype=float), mixtures.copy()
    for _ in range(len(limits)):
        over = np.clip(found - limits, 0, None)
        found = np.minimum(found, limits)
        room = np.where(found < limits, np.maximum(found, 1e-9), 0.0)
        total = room.sum(1, keepdims=True)
        found += np.divide(room, total, out=np.zeros_like(room), where=total > 0) * over.sum(1, keepdims=True)
    return found


def apart(candidates: Mixtures, count: int, known: Mixtures) -> Mixtures:
    """(count, G): candidates that are each as far as can be from those taken before, and from known mixtures.

    The greedy rule for k centres (Gonzalez 1985); the distance is half the sum of absolute differences.
    """
    distance = np.full(len(candidates), np.inf)
    for one in known:
        distance = np.minimum(distance, np.abs(candidates - one).sum(1) / 2)
    taken: list[int] = []
    for _ in range(min(count, len(candidates))):
        place = int(distance.argmax())
        taken.append(place)
        distance = np.minimum(distance, np.abs(candidates - candidates[place]).sum(1) / 2)
    return candidates[taken]
