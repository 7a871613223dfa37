"""Fits a budget for each prompt to a sweep, and compares it with fixed budgets on held-out problems.

Problems are put into bins by a probe. Every bin starts at the smallest budget; then the step that gains the most accuracy per
token is taken, in whichever bin it is, until the target is reached. This is a Lagrangian over the bins with one price per
token. Budgets need not rise from bin to bin: for prompts that are never solved, no step is worth its price. Neighbours:
budget.py (the probe), records/adaptive.py (the result), commands/adapt/ (reads the sweep).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from alignment.core.statistics.estimate import Estimate
from alignment.evaluation.adaptive_budget.budget import agreement
from alignment.records.adaptive import Bin, Probe, Savings, Target

MOST_BINS, FEWEST_PROBLEMS = 16, 16  # of a bin: with fewer problems its accuracies are mostly chance
FOLDS = 4
RESAMPLES = 1000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """P problems at B fixed budgets. Means over the samples of each problem; S answers without thinking beside them."""

    keys: Sequence[str]  # problem_key of each question
    budgets: Sequence[int]
    accuracy_PB: Array
    tokens_PB: Array
    prompt_tokens_P: Array
    groups_PS: Sequence[Sequence[int | None]]
    probe_tokens_PS: Array

    def only(self, chosen: Sequence[int] | NDArray[np.int64]) -> "Curve":
        """The same budgets on some of the problems, which may be named more than once."""
        index = np.asarray(chosen, dtype=np.int64)
        return replace(
            self,
            keys=[self.keys[at] for at in index],
            groups_PS=[self.groups_PS[at] for at in index],
            accuracy_PB=self.accuracy_PB[index],
            tokens_PB=self.tokens_PB[index],
            prompt_tokens_P=self.prompt_tokens_P[index],
            probe_tokens_PS=self.probe_tokens_PS[index],
        )

    def part(self, parts: int, number: int, shift: int = 0) -> tuple["Curve", "Curve"]:
        """The problems of one part and all others, by their text, so that one problem is never in both."""
        places = [(int(key, 16) >> shift) % parts for key in self.keys]
        chosen = [index for index, place in enumerate(places) if place == number]
        return self.only(chosen), self.only([index for index, place in enumerate(places) if place != number])

    def values(self, probe: Probe) -> Array:
        """The probe's value for each problem."""
        if probe.kind == "prompt_tokens":
            return self.prompt_tokens_P
        return np.array([agreement(groups[: probe.samples]) for groups in self.groups_PS])

    def probe_tokens(self, probe: Probe) -> Array:
        """Cost of the probe for each problem, in tokens."""
        return self.probe_tokens_PS[:, : probe.samples].sum(axis=1)


@dataclass(frozen=True)
class Rule:
    """A probe, the upper ends of all bins but the last, and the number of each bin's budget."""

    probe: Probe
    ends: Array
    chosen: Sequence[int]

    def bins(self, curve: Curve) -> tuple[Bin, ...]:
        """The bins as adaptive.json has them, with the number of this curve's problems in each."""
        places = self._places(curve)
        ends = [*map(float, self.ends), None]
        return tuple(
            Bin(up_to=end, budget=curve.budgets[choice], problems=int((places == number).sum()))
            for number, (end, choice) in enumerate(zip(ends, self.chosen, strict=True))
        )

    def spent(self, curve: Curve) -> tuple[Array, Array, Array]:
        """Of each problem: accuracy, thinking tokens, and the tokens of the probe."""
        budgets = np.asarray(self.chosen)[self._places(curve)]
        rows = np.arange(len(curve.keys))
        return curve.accuracy_PB[rows, budgets], curve.tokens_PB[rows, budgets], curve.probe_tokens(self.probe)

    def _places(self, curve: Curve) -> NDArray[np.int64]:
        return np.searchsorted(self.ends, curve.values(self.probe), side="left").astype(np.int64)


def rules(curve: Curve, probe: Probe) -> Iterator[Rule]:
    """Rules from the cheapest to the most expensive, one step at a time, the best price first."""
    values = curve.values(probe)
    most = max(1, min(MOST_BINS, len(values) // FEWEST_PROBLEMS))
    # The ends are values that occur, so that equal prompts are never parted; the largest value ends no bin but the last.
    ends = np.unique(np.quantile(values, np.arange(1, most) / most, method="lower"))
    ends = ends[ends < values.max()]
    places = np.searchsorted(ends, values, side="left")
    chosen, steps = [], []
    for number in range(len(ends) + 1):
        inside = places == number
        tokens, accuracy = curve.tokens_PB[inside].mean(axis=0), curve.accuracy_PB[inside].mean(axis=0)
        corners = hull(tokens, accuracy)
        chosen.append(corners[0])
        for before, after in itertools.pairwise(corners):
            price = (accuracy[after] - accuracy[before]) / (tokens[after] - tokens[before])
            steps.append((-price, number, after))
    yield Rule(probe, ends, tuple(chosen))
    for _, number, after in sorted(steps):  # prices fall along a hull, so a bin's own steps come in order
        chosen[number] = after
        yield Rule(probe, ends, tuple(chosen))


def hull(tokens: Array, accuracy: Array) -> list[int]:
    """The corners of the upper concave hull of accuracy over tokens, from the cheapest point to the most accurate."""
    corners: list[int] = []
    for index in sorted(range(len(tokens)), key=lambda at: (tokens[at], -accuracy[at])):
        if corners and accuracy[index] <= accuracy[corners[-1]]:
            continue
        while len(corners) > 1 and _slope(tokens, accuracy, corners[-2], corners[-1]) <= _slope(
            tokens, accuracy, corners[-2], index
        ):
            corners.pop()
        corners.append(index)
    return corners


def _slope(tokens: Array, accuracy: Array, one: int, other: int) -> float:
    return float((accuracy[other] - accuracy[one]) / (tokens[other] - tokens[one]))


def fit(curve: Curve, probe: Probe, target: Target) -> Rule | None:
    """The cheapest rule that reaches the target's accuracy, or the dearest within its mean tokens, its probe's tokens included.

    None where no rule does.
    """
    best = None
    for rule in rules(curve, probe):
        accuracy, thinking, probing = rule.spent(curve)
        if target.accuracy is not None and accuracy.mean() >= target.accuracy:
            return rule
        if target.tokens is not None and (thinking + probing).mean() <= target.tokens:
            best = rule
    return best


def fixed_tokens(tokens: Array, accuracy: Array, wanted: float) -> float:
    """Mean tokens of the cheapest fixed budget that is as accurate as `wanted`, budgets between two taken as a straight line.

    Arguments are means for each budget, in order. Where none is so accurate: the tokens of the most accurate one.
    """
    reaching = [float(spent) for spent, reached in zip(tokens, accuracy, strict=True) if reached >= wanted]
    for one in range(len(tokens) - 1):
        if accuracy[one] < wanted <= accuracy[one + 1]:
            part = (wanted - accuracy[one]) / (accuracy[one + 1] - accuracy[one])
            reaching.append(float(tokens[one] + part * (tokens[one + 1] - tokens[one])))
    return min(reaching) if reaching else float(tokens[int(np.argmax(accuracy))])


@dataclass(frozen=True)
class Saving:
    """The values of records/adaptive.py's Savings, without intervals."""

    accuracy: float
    mean_thinking_tokens: float
    mean_probe_tokens: float
    fixed_tokens: float
    saved_fraction: float
    random_budget_tokens: float
    saved_fraction_beside_random: float

    def rounded(self) -> Savings:
        """As it is recorded where there is no interval."""
        return Savings(**{one.name: Estimate(round(getattr(self, one.name), 4)) for one in fields(self)})


def beside_fixed(curve: Curve, rule: Rule) -> Saving:
    """A rule's mean accuracy and tokens, and what prompt-blind budgets spend for the same accuracy.

    fixed_tokens: the best fixed budget. random_budget_tokens: the strongest prompt-independent baseline (randomised budgets).
    saved_fraction is against the former, probe included.
    """
    accuracy, thinking, probing = (float(one.mean()) for one in rule.spent(curve))
    tokens_B, accuracy_B = curve.tokens_PB.mean(axis=0), curve.accuracy_PB.mean(axis=0)
    corners = hull(tokens_B, accuracy_B)
    fixed = fixed_tokens(tokens_B, accuracy_B, accuracy)
    random_budget = fixed_tokens(tokens_B[corners], accuracy_B[corners], accuracy)
    spent = thinking + probing
    return Saving(
        accuracy=accuracy,
        mean_thinking_tokens=thinking,
        mean_probe_tokens=probing,
        fixed_tokens=fixed,
        saved_fraction=1 - spent / fixed if fixed else 0.0,
        random_budget_tokens=random_budget,
        saved_fraction_beside_random=1 - spent / random_budget if random_budget else 0.0,
    )


def with_intervals(curve: Curve, rule: Rule, seed: int = 0) -> Savings:
    """`beside_fixed` with intervals: 95% percentile bootstrap over problems, paired.

    Every resample asks the rule and the fixed budgets the same problems (Efron 1979).
    """
    found = beside_fixed(curve, rule)
    draws = np.random.default_rng(seed).integers(0, len(curve.keys), (RESAMPLES, len(curve.keys)))
    resampled = [beside_fixed(curve.only(chosen), rule) for chosen in draws]

    def estimate(name: str) -> Estimate:
        low, high = np.quantile([getattr(one, name) for one in resampled], (0.025, 0.975))
        return Estimate(getattr(found, name), float(low), float(high)).rounded(4)

    return Savings(**{one.name: estimate(one.name) for one in fields(Saving)})


def promise(curve: Curve, probe: Probe, target: Target) -> float | None:
    """Fraction of tokens that a probe saves in cross-validation over the problems; None if no rule reaches the target."""
    saved = []
    for number in range(FOLDS):
        inside, others = curve.part(FOLDS, number, shift=8)
        rule = fit(others, probe, target) if inside.keys and others.keys else None
        if rule is None:
            return None
        saved.append(beside_fixed(inside, rule).saved_fraction)
    return float(np.mean(saved))


def best_probe(curve: Curve, probes: Sequence[Probe], target: Target) -> tuple[Probe, dict[str, float | None]]:
    """The probe that saves most in cross-validation, and what each probe saves."""
    promised = {probe.described: promise(curve, probe, target) for probe in probes}
    known = [probe for probe in probes if promised[probe.described] is not None]
    best = max(known or probes, key=lambda probe: promised[probe.described] or -np.inf)
    return best, {name: None if saved is None else round(saved, 4) for name, saved in promised.items()}
