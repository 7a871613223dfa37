"""Accuracy from fractions: ridge regression of the logit, its error on trials that are left out, and the best mixture by it.

RegMix (arXiv 2407.01492) fits linear regression and LightGBM to hundreds of trials, and averages the hundred best of many
simulated mixtures; CLIMB (arXiv 2504.13161) does it in rounds. A dozen trials carry no trees, so this is ridge, linear in the
fractions or in their logarithms (diminishing returns), whichever predicts left-out trials better. Neighbour: candidates.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alignment.core.statistics.ranks import rank_correlation
from alignment.data_factory.mixture_search.candidates import Mixtures
from alignment.records.trials import Form

Vector = npt.NDArray[np.float64]
FORMS: tuple[Form, ...] = ("fractions", "logarithms")
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
LEAST_FRACTION = 0.01  # what counts as none in a logarithm
AVERAGED = 100  # of the best simulated mixtures


@dataclass(frozen=True)
class Fit:
    """A fitted regression. Coefficients are of standardised features; errors are in accuracy, of left-out trials."""

    form: Form
    mean_G: Vector
    scale_G: Vector
    coefficients_G: Vector
    intercept: float
    error: float
    spread: float
    rank_correlation: float | None

    def predicted(self, mixtures: Mixtures) -> Vector:
        """(M,) accuracies."""
        standard = (features(mixtures, self.form) - self.mean_G) / self.scale_G
        return 1 / (1 + np.exp(-(self.intercept + standard @ self.coefficients_G)))

    def best(self, candidates: Mixtures) -> Vector:
        """(G,): the mean of the AVERAGED candidates with the highest predicted accuracy."""
        order = np.argsort(-self.predicted(candidates), kind="stable")
        found: Vector = candidates[order[:AVERAGED]].mean(0)
        return found / found.sum()


def features(mixtures: Mixtures, form: Form) -> Mixtures:
    """(M, G): the fractions, or their logarithms."""
    return np.log(mixtures + LEAST_FRACTION) if form == "logarithms" else mixtures


def fitted(mixtures: Mixtures, accuracies: Sequence[float], answers: Sequence[int]) -> Fit:
    """The regression of the form and ridge with the smallest error on trials that are left out one by one.

    mixtures: (M, G). answers: how many each accuracy is of, so that 0 and 1 have a logit.
    """
    measured = np.asarray(accuracies, dtype=float)
    logits = np.array([_logit(one, count) for one, count in zip(accuracies, answers, strict=True)])
    found = [_left_out(features(mixtures, form), logits, ridge) for form in FORMS for ridge in RIDGES]
    errors = [float(np.sqrt(((_accuracy(one) - measured) ** 2).mean())) for one in found]
    best = int(np.argmin(errors))
    form, ridge = FORMS[best // len(RIDGES)], RIDGES[best % len(RIDGES)]
    mean_G, scale_G, coefficients_G, intercept = _ridge(features(mixtures, form), logits, ridge)
    correlation = rank_correlation(found[best].tolist(), measured.tolist())
    return Fit(form, mean_G, scale_G, coefficients_G, intercept, errors[best], float(measured.std()), correlation)


def _ridge(features_MG: Mixtures, logits_M: Vector, ridge: float) -> tuple[Vector, Vector, Vector, float]:
    mean_G, scale_G = features_MG.mean(0), np.maximum(features_MG.std(0), 1e-9)
    standard = (features_MG - mean_G) / scale_G
    intercept = float(logits_M.mean())
    squares = standard.T @ standard + ridge * np.eye(features_MG.shape[1])
    return mean_G, scale_G, np.linalg.solve(squares, standard.T @ (logits_M - intercept)), intercept


def _left_out(features_MG: Mixtures, logits_M: Vector, ridge: float) -> Vector:
    """(M,): the logit of each trial, by the regression on all others."""
    found = np.empty(len(logits_M))
    for place in range(len(logits_M)):
        others = np.arange(len(logits_M)) != place
        mean_G, scale_G, coefficients_G, intercept = _ridge(features_MG[others], logits_M[others], ridge)
        found[place] = intercept + (features_MG[place] - mean_G) / scale_G @ coefficients_G
    return found


def _logit(accuracy: float, answers: int) -> float:
    """The empirical logit: half an answer is added on both sides (Haldane 1956)."""
    right = accuracy * answers
    return math.log((right + 0.5) / (answers - right + 0.5))


def _accuracy(logits: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-logits)))
