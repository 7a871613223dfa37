"""The gold answer that a row's own reference gives: every grader has to pass it, or the row teaches that right is wrong.

audit.py runs it over a file, and a recipe's check over a sample of its data. A kind has one when a right answer can be
written from its columns alone; how is said where the kind is defined (kinds/).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rewards.contract import Rollout
from rewards.errors import KindUnavailable, RewardsError
from rewards.kind import Gold
from rewards.kinds.math_answer import gold_answer
from rewards.kinds.python_tests import gold_program
from rewards.kinds.tool_call import gold_calls
from rewards.registry import BUILT_IN, KINDS, VERIFIERS

__all__ = [
    "GoldFailure",
    "GoldUnknown",
    "failures_of_gold",
    "gold_answer",
    "gold_calls",
    "gold_columns",
    "gold_of",
    "gold_program",
    "has_gold",
]

BATCH = 256  # rows that are judged in one call


class GoldUnknown(RewardsError, ValueError):
    """A kind for which no right answer can be written from a row's columns."""

    def __init__(self, kind: str) -> None:
        written = ", ".join(name for name in BUILT_IN if has_gold(name))
        super().__init__(f"no right answer can be written from the columns of {kind!r}; write one of: {written}")


@dataclass(frozen=True)
class GoldFailure:
    """A row whose own reference does not pass: where it is, why, and the reference as it stands."""

    place: Any
    reason: str
    score: float | None
    reference: str


def has_gold(kind: str) -> bool:
    """Whether a right answer can be written from a kind's columns. False for one that is unknown or cannot be loaded."""
    try:
        return KINDS[kind].gold is not None
    except (KeyError, KindUnavailable):
        return False


def gold_of(kind: str) -> Gold:
    """How a kind's gold answer is written. Raises GoldUnknown."""
    gold = KINDS[kind].gold if kind in KINDS else None
    if gold is None:
        raise GoldUnknown(kind)
    return gold


def gold_columns(kind: str) -> frozenset[str]:
    """What a row has to hold so that its gold answer can be written and judged. Raises GoldUnknown."""
    reference = gold_of(kind).reference
    return frozenset((*VERIFIERS[kind].columns, reference))


def failures_of_gold(
    kind: str, rows: Iterable[tuple[Any, Mapping[str, Any]]], options: Mapping[str, Any] | None = None
) -> list[GoldFailure]:
    """The rows, each with its place, whose reference does not pass its own grader. Raises GoldUnknown."""
    gold, listed, failures = gold_of(kind), list(rows), []
    verifier = VERIFIERS[kind](**(options or {}))
    try:
        for start in range(0, len(listed), BATCH):
            batch = listed[start : start + BATCH]
            rollouts = [
                Rollout("", gold.write(row), columns={**dict.fromkeys(verifier.columns), **row}) for _, row in batch
            ]
            for (place, row), verdict in zip(batch, verifier.judge(rollouts), strict=True):
                if verdict.score != 1.0:
                    reference = str(row.get(gold.reference))[:200]
                    failures.append(GoldFailure(place, verdict.reason, verdict.score, reference))
    finally:
        verifier.close()
    return failures
