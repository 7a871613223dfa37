"""`alignment audit`: prints what rewards/audit.py finds, as a table or as JSON.

The exit status is 0 if every row is judged correctly, and 1 if one is not or a reference fails its own verifier. A kind that
this machine cannot run is listed with the reason and does not change the status.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from alignment.core.errors import DataError, RecipeError
from rewards import IsolationUnavailable, RewardSpecError
from rewards.audit import KindAudit, ReferenceAudit, audit_kinds, audit_references
from rewards.gold import GoldUnknown

MAX_FAILURES_SHOWN = 10


def options(texts: list[str], kinds: list[str]) -> dict[str, Any]:
    """Parse `name=value` options, values as YAML. Raises RecipeError for a malformed one, or if not one kind is named."""
    if texts and len(kinds) != 1:
        raise RecipeError(
            "--option belongs to one verifier; name it, as in `alignment audit judge --option model=NAME`"
        )
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise RecipeError(f"--option {text!r}: write NAME=VALUE, such as timeout_seconds=20")
        try:
            found[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise RecipeError(f"--option {text!r}: the value is not YAML: {error}; put text in quotes") from error
    return found


def audit_tables(kinds: list[str], given: Mapping[str, Any], console: Console, *, as_json: bool) -> int:
    """Run the named kinds, or all, on their audit tables; returns the exit status. Raises RecipeError."""
    try:
        found = audit_kinds(kinds, given)
    except RewardSpecError as error:
        raise RecipeError(str(error)) from error
    if as_json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
    else:
        console.print(_kinds_table(found))
        for one in found:
            if one.not_audited:
                console.print(f"{one.kind}: not audited: {one.not_audited}", highlight=False, markup=False)
            for wrong in one.misjudged:
                console.print(
                    f"{one.kind}: {wrong.fault.replace('_', ' ')} ({wrong.group}): {wrong.completion!r} scored "
                    f"{_score(wrong.found)} ({wrong.reason}), and {_score(wrong.expected)} is right",
                    highlight=False,
                    markup=False,
                )
    return int(any(one.misjudged for one in found))


def audit_data(
    kinds: list[str], given: Mapping[str, Any], data: Path, column: str | None, console: Console, *, as_json: bool
) -> int:
    """Judge the references of a file with one kind; returns the exit status. Raises DataError or RecipeError."""
    if len(kinds) > 1:
        raise DataError(f"--data is judged by one kind, and {len(kinds)} were named; write one of them")
    (kind,) = kinds
    try:
        found = audit_references(data, kind, column, given)
    except OSError as error:
        raise DataError(f"{data}: cannot be read ({error.strerror or error})") from error
    except RewardSpecError as error:
        raise RecipeError(str(error)) from error
    except (GoldUnknown, IsolationUnavailable) as error:
        raise DataError(str(error)) from error
    if as_json:
        facts = {**asdict(found), "passed": found.passed, "reasons": found.reasons()}
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        console.print(f"{data}, judged as {kind}", highlight=False, markup=False)
        console.print(_references_table(found))
        for place, text in [
            *((one.place, f"{one.reason}: {one.reference}") for one in found.failures[:MAX_FAILURES_SHOWN]),
            *((number, text) for number, text in found.unreadable[:MAX_FAILURES_SHOWN]),
        ]:
            console.print(f"{data}:{place}: {text}", highlight=False, markup=False)
    return int(bool(found.failures or found.unreadable or not found.rows))


def _kinds_table(found: list[KindAudit]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("verifier")
    for heading in ("rows", "false negatives", "false positives", "unknown", "per second", "slowest"):
        table.add_column(heading, justify="right")
    for one in found:
        if not one.rows:
            table.add_row(one.kind, "no table")
            continue
        if one.not_audited:
            table.add_row(one.kind, str(one.rows), "not audited")
            continue
        faults = [str(one.count(fault)) for fault in ("false_negative", "false_positive", "unknown")]
        table.add_row(
            one.kind, str(one.rows), *faults, f"{one.rows_per_second:,.0f}", f"{one.slowest_seconds * 1000:,.1f} ms"
        )
    return table


def _references_table(found: ReferenceAudit) -> Table:
    reasons = found.reasons()
    table = Table(box=None, pad_edge=False)
    table.add_column("references")
    table.add_column("rows", justify="right")
    for name, count in [
        ("judged", found.rows),
        ("pass", found.passed),
        ("fail", len(found.failures)),
        *((f"  {reason}", count) for reason, count in reasons.items()),
        ("lines without a row", len(found.unreadable)),
    ]:
        table.add_row(name, f"{count:,}")
    table.add_row("seconds", f"{found.seconds:.1f}")
    return table


def _score(score: float | None) -> str:
    return "no score" if score is None else f"{score:g}"
