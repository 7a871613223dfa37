"""Copies as checks: equal rows, and nearly equal ones. Neighbours: data_factory/duplicates.py (finds both at once)."""

from collections.abc import Callable, Sequence

from alignment.data_factory.duplicates import Copy, copies
from alignment.data_factory.filters.check import SOUND, Check, Finding, Row

EQUAL = "says the same as an earlier row, but for case and white space"
NEAR = (
    "has a Jaccard index of {:g} or more with an earlier row over three words in a row, and the same numbers and signs"
)


def duplicate_checks(rows: Sequence[Row], text: Callable[[Row], str], threshold: float) -> list[Check[Row]]:
    """The two checks for these rows, which are looked at once."""
    found = copies([text(row) for row in rows], threshold)
    names = [row.id for row in rows]

    def judged(equal: bool) -> Callable[[Sequence[Row]], list[Finding]]:
        return lambda _: [_finding(copy, names, equal=equal) for copy in found]

    checks = [Check[Row]("duplicate", EQUAL, judged(True))]
    if threshold < 1:
        checks.append(Check[Row]("near_duplicate", NEAR.format(threshold), judged(False)))
    return checks


def _finding(copy: Copy | None, names: Sequence[str], *, equal: bool) -> Finding:
    if copy is None or (copy.similarity == 1) != equal:
        return SOUND
    return Finding(True, f"repeats {names[copy.of]}, Jaccard index {copy.similarity:.2f}")
