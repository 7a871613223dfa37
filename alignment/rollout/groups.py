"""Which problem is asked in which mode, and dynamic sampling: groups that teach nothing are replaced.

A group is all completions of one problem in one step. Where all of them score alike their advantages are zero; DAPO
(arXiv 2503.14476, section 3.2) draws fresh problems in their place.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from alignment.core.vocabulary import Mode
from alignment.data.rows import Problem
from alignment.rollout.scoring import Judged


def chance(*parts: object) -> float:
    """A number in [0, 1) that is the same for the same parts on every rank and in every process."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def group_mode(problem: Problem, step: int, seed: int, thinking_fraction: float) -> Mode:
    """The mode in which a group is sampled: the same for all its completions, on whichever rank they are."""
    return "thinking" if chance("mode", seed, step, problem.id) < thinking_fraction else "non_thinking"


def has_signal(group: Sequence[Judged]) -> bool:
    """Whether the known rewards of a group differ."""
    known = {row.total for row in group if row.total is not None}
    return len(known) > 1


def replace_zero_variance(
    groups: list[list[Judged]],
    fresh: Iterator[Problem],
    sample: Callable[[list[Problem]], list[list[Judged]]],
    rounds: int,
) -> tuple[list[list[Judged]], int]:
    """Replace groups without signal by groups of fresh problems, for at most so many rounds.

    Returns the groups and how many were replaced. Those that stay silent keep their place and carry no gradient.
    """
    replaced = 0
    for _ in range(rounds):
        silent = [index for index, group in enumerate(groups) if not has_signal(group)]
        candidates = [problem for problem, _ in zip(fresh, silent, strict=False)]
        if not candidates:
            break
        for index, group in zip(silent, sample(candidates), strict=False):
            if has_signal(group):
                groups[index] = group
                replaced += 1
    return groups, replaced
