"""Searches for the fractions of a stage's sources by small trials and a regression, in one round or more.

CLIMB (arXiv 2504.13161) alternates trials and a predictor that says where to try next; with one round it is RegMix
(arXiv 2407.01492). What is found is trained anew, beside the recipe's own mixture, with further seeds and on other
problems: the best of many trials is partly luck. Neighbours: data_factory/mixture_search/ (candidates, regression),
trial.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alignment.core.errors import OptionError
from alignment.core.statistics.intervals import mean_estimate
from alignment.data_factory.allotment import allotted
from alignment.data_factory.mixture_search.candidates import Mixtures, apart, drawn, within
from alignment.data_factory.mixture_search.regression import Fit, fitted
from alignment.records.trials import MIXTURE, MixtureFit, MixtureGain, MixtureSearch, MixtureTrial, Origin, Trial
from alignment.run.trials.trial import Trials

SIMULATED = 20_000  # mixtures whose accuracy is predicted
PROMISING = 0.05  # fraction of these from which a further round draws
FURTHER_SEED = 1000  # seeds of the last comparison lie this far from the recipe's


@dataclass(frozen=True)
class SearchSettings:
    """How a search is done. rows: of each trial, None for as many as the stage has."""

    rows: int | None = None
    trials: int = 8  # of a round, the recipe's own mixture among the first
    rounds: int = 2
    seeds: int = 4  # trainings of either mixture in the end
    seed: int = 0


@dataclass
class _Search:
    """A search under way: the mixtures so far, and what they were measured at."""

    trials: Trials
    settings: SearchSettings
    rows: int
    most: list[float]  # the largest fraction of each group
    there: list[int | None]
    mixtures: list[list[float]] = field(default_factory=list)
    measured: list[Trial] = field(default_factory=list)

    @property
    def known(self) -> Mixtures:
        """(M, G): the mixtures so far."""
        return np.array(self.mixtures)

    def counts(self, mixture: Sequence[float]) -> list[int]:
        """Rows of each group."""
        return allotted(self.rows, mixture, self.there)

    def measure(self, mixture: Sequence[float]) -> Trial:
        """Train on a mixture, as far as whole rows come near it."""
        counts = self.counts(mixture)
        trial = self.trials.measured(self.trials.planned(counts))
        self.mixtures.append([count / self.rows for count in counts])
        self.measured.append(trial)
        return trial

    def fit(self) -> Fit:
        """The regression over all trials so far."""
        accuracies = [one.accuracy.value or 0.0 for one in self.measured]
        return fitted(self.known, accuracies, [one.count for one in self.measured])


def search_mixture(trials: Trials, settings: SearchSettings) -> MixtureSearch:
    """Try, fit, find and compare; trials/mixture-STAGE.json is written as it grows.

    Raises OptionError for a stage with one part, and for fewer trials than a regression needs.
    """
    own = trials.rows()
    _refuse(len(own), settings)
    rows, there = settings.rows or sum(own), trials.rows_there()
    most = [1.0 if one is None else min(1.0, one / rows) for one in there]
    search = _Search(trials, settings, rows, most, there)
    own_fractions = within(np.array([own], dtype=float) / sum(own), most)[0].tolist()
    record = MixtureSearch(
        trials.stage, trials.mode, trials.tasks, rows, settings.seed, tuple(trials.groups), _rounded(own_fractions)
    )
    for number in range(1, settings.rounds + 1):
        for mixture, origin in _round(search, number, own_fractions):
            trial = search.measure(mixture)
            made = MixtureTrial(number, _rounded(search.mixtures[-1]), trial.accuracy, origin)
            record = _written(trials, replace(record, trials=(*record.trials, made)))
        record = _written(trials, replace(record, fits=(*record.fits, _fit_record(number, search.fit()))))
    return _compared(search, record, own_fractions)


def _round(search: _Search, number: int, own: list[float]) -> list[tuple[list[float], Origin]]:
    """What a round tries: in the first the recipe's own mixture and others far from it, then what the regression favours."""
    drawn_from = drawn(SIMULATED, len(search.most), search.most, search.settings.seed + number)
    if number == 1:
        chosen = apart(drawn_from, search.settings.trials - 1, np.array([own]))
        return [(own, "recipe"), *((one, "sampled") for one in chosen.tolist())]
    order = np.argsort(-search.fit().predicted(drawn_from), kind="stable")
    chosen = apart(drawn_from[order[: int(PROMISING * SIMULATED)]], search.settings.trials, search.known)
    return [(one, "sampled") for one in chosen.tolist()]


def _refuse(groups: int, settings: SearchSettings) -> None:
    if groups < 2:
        raise OptionError(
            "the stage has one part of data, so there are no fractions to search for; write several parts"
        )
    if settings.trials < groups + 2:
        raise OptionError(
            f"{settings.trials} trials of a round are too few for a regression over {groups} groups; write --trials {groups + 2} or more"
        )


def _compared(search: _Search, record: MixtureSearch, own: list[float]) -> MixtureSearch:
    """Find the best mixture by the regression, and train it and the recipe's own anew."""
    trials, settings, fit = search.trials, search.settings, search.fit()
    found = fit.best(drawn(SIMULATED, len(search.most), search.most, settings.seed))
    counts = search.counts(found.tolist())
    fractions = [count / search.rows for count in counts]
    record = _written(trials, replace(record, found=_rounded(fractions), counts=tuple(counts)))
    predicted = fit.predicted(np.array([fractions, own]))
    others = trials.asks_others()
    problems = trials.plan.recipe.evaluations.seed + 1 if others else None
    accuracies: list[list[float]] = [[], []]
    for number in range(settings.seeds):
        seed = trials.plan.recipe.seed + FURTHER_SEED + number
        for side, wanted in zip(accuracies, (search.counts(own), counts), strict=True):
            side.append(trials.measured(trials.planned(wanted, seed, problems)).accuracy.value or 0.0)
    gains = [after - before for before, after in zip(*accuracies, strict=True)]
    gain = MixtureGain(
        predicted=round(float(predicted[0] - predicted[1]), 4),
        measured=mean_estimate([(one, 1) for one in gains], 4),
        own=tuple(accuracies[0]),
        found=tuple(accuracies[1]),
        other_problems=others,
    )
    return _written(trials, replace(record, gain=gain))


def _fit_record(number: int, fit: Fit) -> MixtureFit:
    correlation = None if fit.rank_correlation is None else round(fit.rank_correlation, 4)
    coefficients = _rounded(fit.coefficients_G.tolist())
    return MixtureFit(number, fit.form, coefficients, round(fit.error, 4), round(fit.spread, 4), correlation)


def _written(trials: Trials, record: MixtureSearch) -> MixtureSearch:
    record.write(trials.folder / MIXTURE.format(trials.stage))
    return record


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(one, 4) for one in values)
