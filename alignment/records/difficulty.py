"""difficulty.json in a checkpoint: what a grpo stage with `order: reward_variance` or `task_variance` has learnt about its problems.

Neighbours: rollout/difficulty.py (learns and draws), training/rl/step_problems.py (keeps it with each checkpoint).
"""

from dataclasses import dataclass, field
from typing import Annotated

from alignment.records.file_record import FileRecord


@dataclass(frozen=True)
class ProblemDifficulty:
    """What completions of one problem were worth. Each time that it is asked again, what was seen before counts half."""

    problem: Annotated[str, "the problem's id"]
    visits: Annotated[int, "steps that asked for it"]
    last_step: Annotated[int, "the last of them, counted from 0"]
    completions: Annotated[float, "how many completions the figures stand for"]
    reward: Annotated[float, "their mean total reward"]
    variance: Annotated[float, "the variance of it; p(1 - p) for a reward of 0 or 1 with pass rate p"]
    pass_rate: Annotated[float | None, "the fraction of them with every weighted verifier's full score"] = None


@dataclass(frozen=True)
class DifficultyState(FileRecord):
    """The pool of problems when a checkpoint was written."""

    problems: Annotated[tuple[ProblemDifficulty, ...], "what is known, of the problems that were asked for"] = field(
        default_factory=tuple
    )
