"""Several answers to one problem: what a majority vote over k of them would score, and what the best of k could.

The companion of the budget sweep: at the same tokens, is it better to think longer once, or to think briefly and vote?
Best-of-k is pass@k: it takes someone who knows which answer is right, so it bounds every way of choosing from above.
Neighbours: rewards/vote.py (which answers are the same), core/statistics/intervals.py.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import fraction_estimate
from alignment.records.sweep import VotePoint


@dataclass(frozen=True)
class Ballot:
    """One judged sample: the number of its answer's group among those of its problem, None without an answer."""

    group: int | None
    correct: bool


def vote_sizes(samples: int) -> list[int]:
    """1, 2, 4, ... and all of them."""
    powers = [2**power for power in range(samples.bit_length()) if 2**power <= samples]
    return sorted({*powers, samples}) if samples else []


def majority(ballots: Sequence[Ballot]) -> float:
    """Probability that the most frequent answer is correct; ties are broken at random, samples without an answer abstain."""
    counts = Counter(ballot.group for ballot in ballots if ballot.group is not None)
    if not counts:
        return 0.0
    most = max(counts.values())
    winners = [ballot.correct for ballot in ballots if ballot.group is not None and counts[ballot.group] == most]
    return fmean(winners)


def majority_of(ballots: Sequence[Ballot], size: int) -> float:
    """The mean of `majority` over all runs of `size` neighbouring samples, cyclically."""
    count = len(ballots)
    return fmean(
        majority([ballots[(start + step) % count] for step in range(size)]) for start in range(count)
    )  # with size = count every run is the same set


def pass_at(ballots: Sequence[Ballot], size: int) -> float:
    """The unbiased estimate of pass@k: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374, equation 1)."""
    wrong = sum(not ballot.correct for ballot in ballots)
    return 1 - math.comb(wrong, size) / math.comb(len(ballots), size)


def vote_points(problems: Sequence[Sequence[Ballot]], tokens_per_sample: float) -> tuple[VotePoint, ...]:
    """For each k: what a majority vote and the best of k score, with intervals over problems, and the tokens of k samples.

    `problems` holds the judged samples of each problem; one with fewer than k of them is left out at that k.
    """
    return tuple(_vote_points(problems, tokens_per_sample))


def _vote_points(problems: Sequence[Sequence[Ballot]], tokens_per_sample: float) -> Iterator[VotePoint]:
    for size in vote_sizes(max(map(len, problems), default=0)):
        whole = [ballots for ballots in problems if len(ballots) >= size]
        yield VotePoint(
            votes=size,
            mean_tokens=round(size * tokens_per_sample, 2),
            majority=_over_problems([majority_of(ballots, size) for ballots in whole]),
            best_of_upper_bound=_over_problems([pass_at(ballots, size) for ballots in whole]),
            problems=len(whole),
        )


def _over_problems(values: Sequence[float]) -> Estimate:
    return fraction_estimate([(value, 1) for value in values])
