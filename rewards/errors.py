"""The root of every error that `rewards` raises for a person to read.

`except RewardsError` catches a missing column, a machine that cannot isolate programs, a grader that fails on most of a
batch, a spec that cannot work and a kind that cannot be loaded; `str(error)` says what to do about it. A completion
never raises one: what it says is judged, or has a verdict without a score.
"""

import copyreg
from typing import Any


class RewardsError(Exception):
    """What keeps rewards from being computed, in words for whoever runs them. Survives pickling with its attributes."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuilt without calling `__init__`, whose parameters are not the message that `args` holds."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class KindUnavailable(RewardsError):
    """A kind that another package registers, or that is the user's own, and that cannot be used; says why."""


class BudgetSpent(RewardsError, RuntimeError):
    """A reward that asks a paid model has spent what it may: what is not judged has no score, and training stops."""

    def __init__(self, name: str, spent: str) -> None:
        self.name = name
        super().__init__(
            f"reward '{name}' has spent its budget ({spent}), and rollouts are left that it has not judged. Raise "
            "max_tokens_total or max_cost and run again: what was judged is kept, and is not asked for or paid for again."
        )
