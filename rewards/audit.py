"""Audits verifiers on rows whose verdict is known, and a file's references with their own verifier.

`audit_kind` runs a kind on its audit table (kinds/) and reports wrong verdicts, speed and the slowest row.
`audit_references` judges the gold answer of each row of a file (gold.py). Neighbour: `alignment audit` prints both.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards import IsolationUnavailable, RewardSpecError, Rollout, Verdict, Verifier, reward_function, spec_faults
from rewards.errors import KindUnavailable
from rewards.gold import GoldFailure, failures_of_gold, gold_of
from rewards.kind import Row
from rewards.registry import KINDS
from rewards.specs import verifier_options

CLOSE_ENOUGH = 1e-6
LONGEST_SHOWN = 120  # characters of a completion in a list of what was judged wrongly


@dataclass(frozen=True)
class Misjudged:
    """A row of an audit table with a wrong verdict.

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
    """The audit of one kind. `rows` is 0 without a table.

    `not_audited` is empty, or says why this machine cannot run the kind; then nothing was counted or measured.
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
        """Number of rows misjudged with this fault."""
        return sum(one.fault == fault for one in self.misjudged)


@dataclass(frozen=True)
class ReferenceAudit:
    """The audit of a file's references with the kind that judges them."""

    kind: str
    rows: int
    unreadable: tuple[tuple[int, str], ...]  # line number, why the line is not a row
    failures: tuple[GoldFailure, ...]  # `place` is the line number
    seconds: float

    def reasons(self) -> dict[str, int]:
        """How many failed for each reason, most first."""
        return dict(Counter(one.reason for one in self.failures).most_common())

    @property
    def passed(self) -> int:
        """Number of references that passed."""
        return self.rows - len(self.failures)


def audit_kind(kind: str, rows: Sequence[Row] | None = None, options: Mapping[str, Any] | None = None) -> KindAudit:
    """A kind on its table, row by row, with each row's options over the given ones.

    Raises RewardSpecError for an unknown kind or option.
    """
    verifier_options(kind)  # raises, with the nearest right name
    known = KINDS[kind]
    table = known.table if rows is None else tuple(rows)
    groups = dict(Counter[str](row.group for row in table))
    if not table:
        return KindAudit(kind, 0, groups)
    given = {**known.audit.options, **(options or {})}
    verifiers: dict[str, Verifier] = {}  # by options
    misjudged, spent, slowest = [], 0.0, (0.0, "")
    try:
        # Not measured: what it starts, it starts once.
        (first,) = _verifier(verifiers, kind, table[0], given).judge([_rollout(table[0])])
        if first.reason in known.audit.unavailable:
            advice = known.audit.advice.replace("{reason}", first.reason)
            return KindAudit(kind, len(table), groups, not_audited=advice)
        for row in table:
            verifier, rollout = _verifier(verifiers, kind, row, given), _rollout(row)
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


def audit_kinds(kinds: Sequence[str] = (), options: Mapping[str, Any] | None = None) -> list[KindAudit]:
    """The named kinds, or every registered one; a kind without a table is listed with 0 rows.

    Where all are audited, one that another package registers and that cannot be loaded is listed with the reason.
    Raises RewardSpecError.
    """
    for kind in kinds:
        verifier_options(kind)  # raises, with the nearest right name
    if kinds:
        return [audit_kind(kind, options=options) for kind in kinds]
    return [_audited(kind, options) for kind in KINDS]


def _audited(kind: str, options: Mapping[str, Any] | None) -> KindAudit:
    try:
        KINDS[kind]
    except KindUnavailable as error:
        return KindAudit(kind, 0, {}, not_audited=str(error))
    return audit_kind(kind, options=options)


def audit_references(
    path: Path, kind: str = "math_answer", column: str | None = None, options: Mapping[str, Any] | None = None
) -> ReferenceAudit:
    """Every row of a JSON-lines file, its reference taken as the answer. `column` is where the reference is kept.

    Raises OSError for a file that cannot be read, GoldUnknown for a kind without a gold answer, RewardSpecError for wrong
    options, and IsolationUnavailable.
    """
    reference = gold_of(kind).reference
    if faults := spec_faults([{"kind": kind, **(options or {})}]):
        raise RewardSpecError(faults)
    start, unreadable, rows = time.perf_counter(), [], []
    for number, row in _lines(path):
        if isinstance(row, str):
            unreadable.append((number, row))
        elif column is not None and column not in row:
            unreadable.append((number, f"it has no column {column!r}; it has: {', '.join(row)[:200]}"))
        else:
            rows.append((number, {**row, reference: row[column]} if column is not None else row))
    failures = failures_of_gold(kind, rows, options)
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


def _verifier(made: dict[str, Verifier], kind: str, row: Row, given: Mapping[str, Any]) -> Verifier:
    """The kind with a row's options over the given ones: one for all rows that have the same."""
    options = {**given, **row.options}
    key = json.dumps(options, sort_keys=True)
    if key not in made:
        made[key] = reward_function([{"kind": kind, **options}]).components[0].verifier
    return made[key]


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
