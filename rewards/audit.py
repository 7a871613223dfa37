"""Every verifier against rows whose right verdict is known, and a person's own references against their grader.

`audit_kind` runs a kind's table (audit_tables/) and says what was judged wrongly, how quickly, and what took longest;
`audit_references` runs the gold answer of each row of a file through the kind that will grade it (gold.py).
`alignment audit` prints both; nothing here needs it.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards import VERIFIERS, IsolationUnavailable, Rollout, Verdict, Verifier, reward_function, verifier_options
from rewards.audit_tables import (
    Row,
    instruction,
    language,
    length,
    math_answer,
    python_tests,
    repetition,
    think_format,
    tool_call,
)
from rewards.gold import GoldFailure, failures_of_gold

TABLES: dict[str, tuple[Row, ...]] = {
    "instruction": instruction.ROWS,
    "language": language.ROWS,
    "length": length.ROWS,
    "math_answer": math_answer.ROWS,
    "python_tests": python_tests.ROWS,
    "repetition": repetition.ROWS,
    "think_format": think_format.ROWS,
    "tool_call": tool_call.ROWS,
}

# Kinds whose verdicts no table can hold, and why.
WITHOUT_TABLE = {
    "judge": "its verdicts are those of the model behind its endpoint, and a table would examine that model, not the kind",
}

CLOSE_ENOUGH = 1e-6
LONGEST_SHOWN = 120  # characters of a completion in a list of what was judged wrongly


@dataclass(frozen=True)
class Misjudged:
    """A row of a table whose verdict is not the one it has to get.

    `fault`: `false_positive` (scored too high, or scored where nothing could be judged), `false_negative` (too low),
    or `unknown` (no score where one was due).
    """

    fault: str
    group: str
    completion: str
    expected: float | None
    found: float | None
    reason: str


@dataclass(frozen=True)
class KindAudit:
    """What came of one kind. `rows` is 0 where there is no table.

    `not_audited` is empty, or says why there is no table, or why this machine cannot judge with the kind; then nothing was
    counted or measured.
    """

    kind: str
    rows: int
    groups: Mapping[str, int]
    misjudged: tuple[Misjudged, ...] = ()
    rows_per_second: float = 0.0
    slowest_seconds: float = 0.0
    slowest: str = ""
    not_audited: str = ""

    def count(self, fault: str) -> int:
        return sum(one.fault == fault for one in self.misjudged)


@dataclass(frozen=True)
class ReferenceAudit:
    """A file's references against the kind that grades them."""

    kind: str
    rows: int
    unreadable: tuple[tuple[int, str], ...]  # line number, why the line is no row
    failures: tuple[GoldFailure, ...]  # `place` is the line number
    seconds: float

    def reasons(self) -> dict[str, int]:
        """How many failed for each reason, most first."""
        return dict(Counter(one.reason for one in self.failures).most_common())

    @property
    def passed(self) -> int:
        return self.rows - len(self.failures)


def audit_kind(kind: str, rows: Sequence[Row] | None = None) -> KindAudit:
    """A kind on its table, row by row, with each row's options. Raises RewardSpecError for an unknown kind or option."""
    verifier_options(kind)  # raises, with the nearest right name
    table = TABLES.get(kind, ()) if rows is None else tuple(rows)
    groups = dict(Counter[str](row.group for row in table))
    if not table:
        return KindAudit(kind, 0, groups, not_audited=WITHOUT_TABLE.get(kind, ""))
    verifiers: dict[str, Verifier] = {}  # by options
    misjudged, spent, slowest = [], 0.0, (0.0, "")
    try:
        _verifier(verifiers, kind, table[0]).judge([_rollout(table[0])])  # not measured: what it starts, it starts once
        for row in table:
            verifier, rollout = _verifier(verifiers, kind, row), _rollout(row)
            start = time.perf_counter()
            (verdict,) = verifier.judge([rollout])
            seconds = time.perf_counter() - start
            spent, slowest = spent + seconds, max(slowest, (seconds, _shown(row.completion)))
            fault = _fault(row.score, verdict.score)
            if fault is not None:
                misjudged.append(_misjudged(fault, row, verdict))
    except IsolationUnavailable as error:
        return KindAudit(kind, len(table), groups, not_audited=str(error))
    finally:
        for verifier in verifiers.values():
            verifier.close()
    return KindAudit(kind, len(table), groups, tuple(misjudged), len(table) / spent, *slowest)


def audit_kinds(kinds: Sequence[str] = ()) -> list[KindAudit]:
    """The named kinds, or every registered one; a kind without a table is listed with 0 rows. Raises RewardSpecError."""
    for kind in kinds:
        verifier_options(kind)  # raises, with the nearest right name
    return [audit_kind(kind) for kind in kinds or VERIFIERS]


def audit_references(path: Path, kind: str = "math_answer", column: str | None = None) -> ReferenceAudit:
    """Every row of a JSON-lines file, its reference taken as the answer. `column` is where `answer` is kept.

    Raises OSError for a file that cannot be read, and GoldUnknown for a kind without a gold answer.
    """
    start, unreadable, rows = time.perf_counter(), [], []
    for number, row in _lines(path):
        if isinstance(row, str):
            unreadable.append((number, row))
        elif column is not None and column not in row:
            unreadable.append((number, f"it has no column {column!r}; it has: {', '.join(row)[:200]}"))
        else:
            rows.append((number, {**row, "answer": row[column]} if column is not None else row))
    failures = failures_of_gold(kind, rows)
    return ReferenceAudit(kind, len(rows), tuple(unreadable), tuple(failures), time.perf_counter() - start)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """`(line number, row)`, or in place of a row why there is none."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, f"it is not JSON: {error}"
                continue
            yield number, row if isinstance(row, dict) else "it is not a JSON object"


def _fault(expected: float | None, found: float | None) -> str | None:
    if expected is None or found is None:
        return None if expected is found else "unknown" if found is None else "false_positive"
    if math.isclose(expected, found, abs_tol=CLOSE_ENOUGH):
        return None
    return "false_positive" if found > expected else "false_negative"


def _misjudged(fault: str, row: Row, verdict: Verdict) -> Misjudged:
    return Misjudged(fault, row.group, _shown(row.completion), row.score, verdict.score, verdict.reason)


def _verifier(made: dict[str, Verifier], kind: str, row: Row) -> Verifier:
    """The kind with a row's options: one for all rows that have the same."""
    options = json.dumps(row.options, sort_keys=True)
    if options not in made:
        made[options] = reward_function([{"kind": kind, **row.options}]).components[0].verifier
    return made[options]


def _rollout(row: Row) -> Rollout:
    tokens = row.tokens or 0
    return Rollout(
        row.prompt,
        row.completion,
        completion_ids=None if row.tokens is None else tuple(range(tokens)),
        mode=row.mode,
        budget=row.budget,
        forced=(True,) * row.forced + (False,) * max(0, tokens - row.forced),
        columns={"mode": row.mode, **row.columns},
    )


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"
