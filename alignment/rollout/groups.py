"""Groups: all completions of one problem in one step. The mode of each, and whether its rewards carry a signal.

Neighbours: scoring.py (rewards), dynamic_sampling.py (replaces groups without signal), training/rl/rollouts.py.
"""

import hashlib
from collections.abc import Sequence

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
