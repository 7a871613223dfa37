"""What a verifier spends that asks a paid model: counted by the verifier, summed by compose.py, shown for each step.

Neighbours: kinds/judge/judgements.py (counts it), errors.py (what is raised when a budget is spent).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

BUDGET_SPENT = "judge_budget_spent"  # the reason of a verdict that was not asked for, since nothing is left to spend


@dataclass(frozen=True)
class Spending:
    """Questions asked and answered from what was kept, tokens of prompts and replies together, and their cost.

    The cost is in the unit of the prices that a person wrote.
    """

    asked: int = 0
    cached: int = 0
    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(
            self.asked + other.asked, self.cached + other.cached, self.tokens + other.tokens, self.cost + other.cost
        )

    def __sub__(self, other: "Spending") -> "Spending":
        return Spending(
            self.asked - other.asked, self.cached - other.cached, self.tokens - other.tokens, self.cost - other.cost
        )


@runtime_checkable
class Spends(Protocol):
    """A verifier that asks a paid model."""

    @property
    def model(self) -> str:
        """The model's name; empty before a server has said what it serves."""
        ...

    def spending(self) -> Spending:
        """What this process has spent so far."""
        ...

    def spent_in_all(self) -> Spending:
        """What was spent by every process that kept its judgements in the same file, earlier ones included."""
        ...
