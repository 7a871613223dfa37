"""A named check, what it finds in a row, and a set of rows under several checks.

A check that cannot tell says so: the row stays, and is counted. Every check looks at every row, so that its count does
not depend on the checks before it. Neighbours: responses.py and queries.py (the checks), records/card.py (their data
card).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from alignment.data.rows import Conversation, Problem

Row = TypeVar("Row", Conversation, Problem)


@dataclass(frozen=True)
class Finding:
    """What a check says of one row: whether it is at fault (None: it cannot tell), and by what."""

    at_fault: bool | None
    evidence: str = ""


SOUND = Finding(False)


@dataclass(frozen=True)
class Check(Generic[Row]):
    """One check: its name in counts, its rule in a sentence, and what judges rows, one finding for each."""

    name: str
    sentence: str
    judge: Callable[[Sequence[Row]], list[Finding]]
    private: bool = False  # what it finds is nobody's to see, so that no example is shown


@dataclass(frozen=True)
class Fault(Generic[Row]):
    """A row that a check found."""

    check: str
    row: Row
    evidence: str


@dataclass(frozen=True)
class Sorted(Generic[Row]):
    """Rows that no check found, and what was found: `found` and `unknown` count rows by check."""

    kept: list[Row]
    faults: list[Fault[Row]]
    found: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def sort_rows(rows: Sequence[Row], checks: Sequence[Check[Row]]) -> Sorted[Row]:
    """Leave out every row that any check finds."""
    made: Sorted[Row] = Sorted([], [])
    left = set[int]()
    for check in checks:
        for place, finding in enumerate(check.judge(rows)):
            if finding.at_fault is None:
                made.unknown[check.name] += 1
            elif finding.at_fault:
                made.found[check.name] += 1
                made.faults.append(Fault(check.name, rows[place], finding.evidence))
                left.add(place)
    made.kept.extend(row for place, row in enumerate(rows) if place not in left)
    return made
