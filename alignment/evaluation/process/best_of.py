"""Best of N: accuracy if the answer with the highest process score is taken, beside votes and pass@N.

For M samples of each problem all figures are expectations over subsets of N of them. Neighbours:
recipe/blocks/process.py (aggregates), evaluation/sweep/votes.py (the vote).
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

from alignment.core.statistics.estimate import UNKNOWN, Estimate
from alignment.core.statistics.intervals import mean_interval
from alignment.recipe.blocks.process import AGGREGATES, Aggregate, aggregated

VOTES_DRAWN = 64  # subsets of which a majority vote is taken, where there are more


@dataclass(frozen=True)
class Candidate:
    """One sample of a problem: its step scores, its final answer (None for none), whether it is right, its tokens."""

    scores: Sequence[float]
    answer: str | None
    right: bool
    tokens: int
    outcome: float | None = None  # a reward model's score of the whole answer


Score = Callable[[Candidate], float | None]  # None ranks below every score


@dataclass(frozen=True)
class BestOfPoint:
    """Accuracy with N samples. Each figure has its interval at 95%, clustered by problem."""

    n: int
    product: Estimate
    minimum: Estimate
    last: Estimate
    mean: Estimate
    majority: Estimate
    weighted: Estimate
    pass_at_n: Estimate
    mean_tokens: float
    outcome: Estimate = UNKNOWN  # where a reward model scored answers

    def by(self, how: Aggregate) -> Estimate:
        """Accuracy if answers are ranked by this aggregate."""
        found: Estimate = getattr(self, how)
        return found


def best_of_curve(
    problems: Sequence[Sequence[Candidate]], numbers: Sequence[int], seed: int, weight: Aggregate
) -> list[BestOfPoint]:
    """A point for each N that every problem has samples for. weight: what an answer counts in a weighted vote."""
    problems = [one for one in problems if one]
    most = min((len(one) for one in problems), default=0)
    return [_point(problems, n, seed, weight) for n in sorted(set(numbers)) if n <= most]


def _point(problems: Sequence[Sequence[Candidate]], n: int, seed: int, weight: Aggregate) -> BestOfPoint:
    tokens = [one.tokens for problem in problems for one in problem]
    scored = any(one.outcome is not None for problem in problems for one in problem)

    def best(score: Score) -> Estimate:
        return _estimate(problems, lambda problem: _best(problem, n, score))

    return BestOfPoint(
        n=n,
        **{how: best(lambda one, how=how: aggregated(one.scores, how)) for how in AGGREGATES},  # type: ignore[misc]
        majority=_estimate(problems, lambda problem: _vote(problem, n, seed, lambda _: 1.0)),
        weighted=_estimate(
            problems, lambda problem: _vote(problem, n, seed, lambda one: aggregated(one.scores, weight))
        ),
        pass_at_n=_estimate(problems, lambda problem: _passes(problem, n)),
        mean_tokens=round(n * sum(tokens) / len(tokens), 1),
        outcome=best(lambda one: one.outcome) if scored else UNKNOWN,
    )


def _estimate(problems: Sequence[Sequence[Candidate]], accuracy: Callable[[Sequence[Candidate]], float]) -> Estimate:
    values = [accuracy(one) for one in problems]
    low, high = mean_interval([(one, 1) for one in values])
    return Estimate(sum(values) / len(values), low, high).rounded(4)


def _best(problem: Sequence[Candidate], n: int, score: Score) -> float:
    """The probability that the highest of n is right, exactly: of candidates in falling order, the i-th is chosen with
    probability C(M - i - 1, n - 1) / C(M, n). Candidates of equal score share their places."""
    scored = sorted(((_known(score(one)), one.right) for one in problem), key=lambda pair: -pair[0])
    total, place, found = len(scored), 0, 0.0
    while place < total:
        end = place
        while end < total and scored[end][0] == scored[place][0]:
            end += 1
        chosen = sum(comb(total - i - 1, n - 1) for i in range(place, end)) / comb(total, n)
        found += chosen * sum(right for _, right in scored[place:end]) / (end - place)
        place = end
    return found


def _known(score: float | None) -> float:
    return -math.inf if score is None else score


def _passes(problem: Sequence[Candidate], n: int) -> float:
    """pass@n in its unbiased form (arXiv 2107.03374, equation 1)."""
    wrong = sum(not one.right for one in problem)
    return 1 - comb(wrong, n) / comb(len(problem), n)


def _vote(problem: Sequence[Candidate], n: int, seed: int, weight: Score) -> float:
    """The accuracy of the answer of n with the most votes, each of a weight; of equal ones the mean.

    Weighted by a verifier's scores it is DIVERSE's vote (arXiv 2206.02336); a candidate without a score has none.
    """
    draw = random.Random(f"{seed}:{n}")
    subsets = 1 if n == len(problem) else VOTES_DRAWN
    return sum(_winner(draw.sample(list(problem), n), weight) for _ in range(subsets)) / subsets


def _winner(chosen: Sequence[Candidate], weight: Score) -> float:
    votes: dict[str, float] = {}
    right: dict[str, list[bool]] = {}
    for one in chosen:
        if one.answer is not None:
            votes[one.answer] = votes.get(one.answer, 0.0) + (weight(one) or 0.0)
            right.setdefault(one.answer, []).append(one.right)
    if not votes:
        return 0.0
    most = max(votes.values())
    winners = [sum(right[answer]) / len(right[answer]) for answer, found in votes.items() if found == most]
    return sum(winners) / len(winners)
