"""The mode of each group, and dynamic sampling: replacing zero-variance groups.

A group is all completions of one problem in one step. If all have the same reward, their advantages are zero; DAPO (arXiv
2503.14476, section 3.2) samples new problems in their place. Neighbours: scoring.py (rewards), training/stages/grpo.py.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

from alignment.core.vocabulary import Mode
from alignment.data.rows import Problem
from alignment.rollout.scoring import Judged


def chance(*parts: object) -> float:
    """A pseudo-random number in [0, 1), the same for the same parts on every rank and in every process."""
    digest = hashlib.sha256(":".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def group_mode(problem: Problem, step: int, seed: int, thinking_fraction: float) -> Mode:
    """The mode of a group, the same for all its completions on every rank."""
    return "thinking" if chance("mode", seed, step, problem.id) < thinking_fraction else "non_thinking"


def has_signal(group: Sequence[Judged]) -> bool:
    """Whether the known rewards of a group differ, so that its advantages are not all zero."""
    known = {row.total for row in group if row.total is not None}
    return len(known) > 1


def replace_zero_variance(
    groups: list[list[Judged]],
    fresh: Iterator[Problem],
    sample: Callable[[list[Problem]], list[list[Judged]]],
    rounds: int,
) -> tuple[list[list[Judged]], int]:
    """Replace zero-variance groups by groups of new problems, in at most `rounds` rounds.

    Returns the groups, and how many were replaced. Groups that still have zero variance stay and carry no gradient.
    """
    replaced = 0
    for _ in range(rounds):
        flat = [index for index, group in enumerate(groups) if not has_signal(group)]
        candidates = [problem for problem, _ in zip(fresh, flat, strict=False)]
        if not candidates:
            break
        for index, group in zip(flat, sample(candidates), strict=False):
            if has_signal(group):
                groups[index] = group
                replaced += 1
    return groups, replaced
