"""Looks at every row of a table for the faults that need no tokenizer, and says which rows are left out and why.

`alignment check` calls `table_faults` on local files; stages call `without_faulty` on the rows that they are about to train on.
Neighbours: linter.py (the faults of one row), data/mixture.py (the fraction that may be left out).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from alignment.data.rows import Conversation, Preference, Problem
from alignment.data.sources import (
    LeftOut,
    Table,
    has_messages,
    has_pairs,
    local_path,
    row_id,
    source_conversations,
    source_pairs,
    source_problems,
    table_rows,
)
from alignment.lint.cases import Case
from alignment.lint.findings import Intent
from alignment.lint.linter import row_findings

AnyRow = TypeVar("AnyRow", Conversation, Problem, Preference)


@dataclass(frozen=True)
class TableFaults:
    """How many rows a table has, and those that cannot be used, in the file's order."""

    rows: int
    faulty: tuple[LeftOut, ...]


def table_faults(source: Table, path: Path | None, intent: Intent) -> TableFaults:
    """The faults of every row of a local table. Raises DataError if the file cannot be read at all."""
    file = local_path(source, path)
    changed = file.stat().st_mtime_ns if file is not None else 0
    return _table_faults(source.model_dump_json(), path, changed, intent)


@lru_cache(maxsize=64)
def _table_faults(declaration: str, path: Path | None, changed: int, intent: Intent) -> TableFaults:
    """Read once for the check and for the plan. changed: when the file was written, in nanoseconds."""
    source = Table.model_validate_json(declaration)
    left_out: list[LeftOut] = []
    rows: Iterator[Conversation | Problem | Preference]
    if has_pairs(source):
        rows = source_pairs(source, seed=None, path=path, left_out=left_out)
    elif has_messages(source):
        rows = source_conversations(source, seed=None, path=path, left_out=left_out)
    else:
        rows = source_problems(source, seed=None, parameters={}, path=path, left_out=left_out)
    sound, why = 0, dict[str, str]()
    for row in rows:
        sound += 1
        fault = fault_of(row, intent)
        if fault is not None:
            why[row.id] = fault
    found = sound + len(left_out)
    if why:
        left_out += [
            LeftOut(row.place, why[row_id(source, row)])
            for row in table_rows(source, path)
            if row_id(source, row) in why
        ]
    order = {row.place: row.index for row in table_rows(source, path)} if left_out else {}
    return TableFaults(found, tuple(sorted(left_out, key=lambda one: order.get(one.place, 0))))


def fault_of(row: Conversation | Problem | Preference, intent: Intent) -> str | None:
    """The first error of a row, with what to write; None for a row without."""
    for case in _cases(row):
        for finding in row_findings(case, intent):
            if finding.severity == "error":
                return f"{finding.text}; {finding.advice} [{finding.code}]"
    return None


def without_faulty(
    rows: Sequence[AnyRow], intent: Intent, spared: frozenset[str] = frozenset()
) -> tuple[list[AnyRow], list[LeftOut]]:
    """(rows without errors, the others with what is wrong). spared: ids of rows that a policy wrote, which have rules of their own."""
    kept, left_out = list[AnyRow](), list[LeftOut]()
    for row in rows:
        fault = None if row.id in spared else fault_of(row, intent)
        if fault is None:
            kept.append(row)
        else:
            left_out.append(LeftOut(f"row {row.id}", fault))
    return kept, left_out


def _cases(row: Conversation | Problem | Preference) -> Iterator[Case]:
    if isinstance(row, Conversation):
        yield Case(1, row)
    elif isinstance(row, Problem):
        yield Case(1, Conversation(row.id, row.messages, "thinking", row.family, row.tools), is_prompt=True)
    else:
        for answer in (row.chosen, row.rejected):
            yield Case(1, Conversation(row.id, [*row.prompt, answer], row.mode, row.family, row.tools))
