"""Looks at every row of a table for the faults that need no tokenizer, and says which rows are left out and why.

`alignment check` calls `table_faults` on local files; stages call `without_faulty` on the rows that they are about to
train on. Neighbours: linter.py (the faults of one row), data/mixture.py (the fraction that may be left out).
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from alignment.core.errors import DataError
from alignment.data.mixture import ArtifactPath, problems_of, refuse_faulty
from alignment.data.rows import Conversation, Preference, Problem
from alignment.data.sources.declared import Table, local_path
from alignment.data.sources.named import source_of
from alignment.data.sources.rows import LeftOut, table_places
from alignment.data.tables.files import last_change
from alignment.data.tables.spool import Picked
from alignment.lint.cases import Case
from alignment.lint.findings import Intent
from alignment.lint.linter import row_findings
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

AnyRow = TypeVar("AnyRow", Conversation, Problem, Preference)


@dataclass(frozen=True)
class TableFaults:
    """How many rows a table has, and those that cannot be used, in the file's order.

    thinking: of the others, the chats and pairs that think, and the problems with a worked solution.
    """

    rows: int
    faulty: tuple[LeftOut, ...]
    thinking: int = 0

    @property
    def sound(self) -> int:
        """How many rows can be used."""
        return self.rows - len(self.faulty)


def table_faults(source: Table, path: Path | None, intent: Intent) -> TableFaults:
    """The faults of every row of a table. Raises DataError if it cannot be read at all."""
    file = local_path(source, path)
    changed = last_change(file) if file is not None else 0
    return _table_faults(source.model_dump_json(), path, changed, intent)


@lru_cache(maxsize=64)
def _table_faults(declaration: str, path: Path | None, changed: int, intent: Intent) -> TableFaults:
    """Read once for the check and for the plan. changed: when the file was written, in nanoseconds."""
    source = Table.model_validate_json(declaration)
    rows, thinking, faulty = 0, 0, list[LeftOut]()
    for place, row in table_places(source, path):
        rows += 1
        why = str(row) if isinstance(row, DataError) else fault_of(row, intent)
        if why is not None:
            faulty.append(LeftOut(place, why))
        elif isinstance(row, Problem):
            thinking += bool(row.trace or row.demonstration)
        elif not isinstance(row, DataError):
            thinking += row.mode == "thinking"
    return TableFaults(rows, tuple(faulty), thinking)


def fault_of(row: Conversation | Problem | Preference, intent: Intent) -> str | None:
    """The first error of a row, with what to write; None for a row without."""
    for case in _cases(row):
        for finding in row_findings(case, intent):
            if finding.severity == "error":
                return f"{finding.text}; {finding.advice} [{finding.code}]"
    return None


def without_faulty(
    rows: Sequence[AnyRow], intent: Intent, spared: frozenset[str] = frozenset()
) -> tuple[Sequence[AnyRow], list[LeftOut]]:
    """(rows without errors, the others with what is wrong). spared: ids of rows that a policy wrote, which have rules of their own."""
    kept, left_out = array("Q"), list[LeftOut]()
    for place, row in enumerate(rows):
        fault = None if row.id in spared else fault_of(row, intent)
        if fault is None:
            kept.append(place)
        else:
            left_out.append(LeftOut(f"row {row.id}", fault))
    return Picked(rows, kept), left_out


def refuse_or_leave_out(
    recipe: Recipe, stage: StageFields, rows: Sequence[AnyRow], spared: frozenset[str]
) -> tuple[Sequence[AnyRow], list[LeftOut]]:
    """`without_faulty` for a stage's rows. Raises DataError if more are faulty than `data.max_faulty_fraction` allows."""
    kept, faulty = without_faulty(rows, Intent.of(recipe, stage), spared)
    refuse_faulty(stage.name, faulty, len(rows), recipe.data.max_faulty_fraction)
    return kept, faulty


def sound_problems(
    recipe: Recipe, stage: StageFields, parts: list[MixturePart], artifact: ArtifactPath | None = None
) -> tuple[list[Problem], list[LeftOut]]:
    """(the problems of a mixture that can be asked, rows of its tables that cannot). Raises DataError if those are too many.

    artifact: where stages left problems. What a stage left has been looked at there.
    """
    left_out: list[LeftOut] = []
    problems = problems_of(recipe, parts, left_out, artifact)
    tables = {source.id for part in parts if part.source and isinstance(source := source_of(part), Table)}
    made = frozenset(problem.id for problem in problems if problem.family not in tables)
    kept, faulty = refuse_or_leave_out(recipe, stage, problems, made)
    return list(kept), [*left_out, *faulty]


def _cases(row: Conversation | Problem | Preference) -> Iterator[Case]:
    if isinstance(row, Conversation):
        yield Case(1, row)
    elif isinstance(row, Problem):
        yield Case(1, Conversation(row.id, row.messages, "thinking", row.family, row.tools), is_prompt=True)
    else:
        for answer in (row.chosen, row.rejected):
            yield Case(1, Conversation(row.id, [*row.prompt, answer], row.mode, row.family, row.tools))
