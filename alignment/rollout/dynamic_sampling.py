"""Dynamic sampling: zero-variance groups are replaced by groups of new problems, until the batch is full over all ranks.

DAPO (arXiv 2503.14476, section 3.2) samples more problems than a step needs and keeps those whose rewards vary. Here all
ranks work through one list of new problems, also those that need none themselves. The first groups with signal in the list's
order are kept, so that any number of ranks keeps the same. Neighbours: groups.py (signal), inference/ranks.py, training/rl/rollouts.py.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from alignment.data.rows import Problem
from alignment.rollout.groups import has_signal
from alignment.rollout.scoring import Judged

ROUNDS = 3
MOST_OVERSAMPLED = 4  # problems tried in a round for each group that is missing

T = TypeVar("T")
Group = list[Judged]
Sample = Callable[[int, Sequence[tuple[int, Problem]]], list[Group]]


class Peers(Protocol):
    """The ranks of a stage."""

    rank: int
    count: int

    def gathered(self, value: T) -> list[T]:
        """Every rank's value, in the order of ranks. Collective."""
        ...


@dataclass(frozen=True)
class Filled:
    """A rank's groups after dynamic sampling, and counts over all ranks.

    replaced: groups in whose place another stands. sampled: groups that were sampled in all. without_signal: how many of these
    have zero variance.
    """

    groups: list[Group]
    replaced: int
    sampled: int
    without_signal: int


def fill_with_signal(groups: Sequence[Group], fresh: Iterator[Problem], sample: Sample, peers: Peers) -> Filled:
    """Replace zero-variance groups, in at most three rounds. Collective: each rank comes with as many groups as it keeps.

    fresh: new problems, the same on every rank. sample: `(round from 1, [(number in the round, problem)])` to groups.
    A round tries as many problems as should fill the batch, by the fraction of groups that had a signal so far.
    Groups that still have zero variance stay and carry no gradient.
    """
    kept = list(groups)
    empty = peers.gathered([index for index, group in enumerate(kept) if not has_signal(group)])
    sampled, without, replaced = sum(peers.gathered(len(kept))), sum(map(len, empty)), 0
    for number in range(1, ROUNDS + 1):
        missing = sum(map(len, empty))
        tried = list(enumerate(itertools.islice(fresh, _wanted(missing, sampled, without))))
        if not tried:
            break
        mine = tried[peers.rank :: peers.count]
        made = {place: group for (place, _), group in zip(mine, sample(number, mine), strict=True)}
        found = peers.gathered([place for place, group in made.items() if has_signal(group)])
        chosen = sorted(itertools.chain.from_iterable(found))[:missing]
        taken = _assigned([[place for place in places if place in chosen] for places in found], empty)
        for index, group in zip(empty[peers.rank], _received(taken, made, peers), strict=False):
            kept[index] = group
        empty = [indices[len(places) :] for indices, places in zip(empty, taken, strict=True)]
        sampled, without = sampled + len(tried), without + len(tried) - sum(map(len, found))
        replaced += len(chosen)
    return Filled(kept, replaced, sampled, without)


def _wanted(missing: int, sampled: int, without: int) -> int:
    """How many problems to try so that as many groups have a signal as are missing, if things go on as so far."""
    if not missing:
        return 0
    return min(math.ceil(missing * sampled / max(1, sampled - without)), MOST_OVERSAMPLED * missing)


def _assigned(offered: Sequence[Sequence[int]], empty: Sequence[Sequence[int]]) -> list[list[int]]:
    """Which groups each rank takes in the place of its empty ones: its own first, then what other ranks have too many of."""
    taken = [list(own[: len(places)]) for own, places in zip(offered, empty, strict=True)]
    spare = [place for own, mine in zip(offered, taken, strict=True) for place in own[len(mine) :]]
    for mine, places in zip(taken, empty, strict=True):
        lacking = len(places) - len(mine)
        mine += spare[:lacking]
        del spare[:lacking]
    return taken


def _received(taken: Sequence[Sequence[int]], made: dict[int, Group], peers: Peers) -> list[Group]:
    """The groups that this rank takes, those of other ranks included. Collective where any moves."""
    moves = set(taken[peers.rank]) - set(made)
    if any(peers.gathered(bool(moves))):
        elsewhere = {place for rank, places in enumerate(taken) if rank != peers.rank for place in places}
        for sent in peers.gathered({place: group for place, group in made.items() if place in elsewhere}):
            made = {**sent, **made}
    return [made[place] for place in taken[peers.rank]]
