"""`alignment audit judge --data FILE`: a judge's agreement with known verdicts, printed as a table or as JSON.

The exit status is 0 if it may train by these rows, and 1 if it may not: below `--least`, or talked round by planted
words. Neighbours: auditing.py (other kinds), rollout/judge_agreement.py (the measure, and the same before training).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from alignment.core.errors import RecipeError
from alignment.core.statistics.intervals import wilson
from alignment.core.typed_json import encode
from alignment.recipe.blocks.judges import Agreement
from alignment.rollout.judge_agreement import agreement_figures, faults, known_verdicts, measured
from rewards import RewardSpecError
from rewards.kinds.judge.agreement import JudgeAgreement

TALKED_SHOWN = 160  # characters of planted words that passed


def audit_judge(given: Mapping[str, Any], data: Path, least: float, console: Console, *, as_json: bool) -> int:
    """Measure a judge on a file; returns the exit status. Raises DataError or RecipeError."""
    known = known_verdicts(data)
    try:
        found = measured({"kind": "judge", **given}, known)
    except RewardSpecError as error:
        raise RecipeError(str(error)) from error
    reasons = list(faults(found, Agreement(data=str(data), least=least)))
    if as_json:
        facts = {**asdict(found), **encode(agreement_figures(found)), "faults": reasons}
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        console.print(f"{data}, judged as judge", highlight=False, markup=False)
        console.print(_table(found))
        for text in found.talked:
            shown = text.replace("\n", " ")[-TALKED_SHOWN:]
            console.print(f"talked round by: … {shown}", highlight=False, markup=False)
        for text in reasons or ["it may train by these rows"]:
            console.print(text, highlight=False, markup=False)
    return int(bool(reasons) or not found.judged)


def _table(found: JudgeAgreement) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("judge")
    table.add_column("rows", justify="right")
    table.add_column("fraction", justify="right")
    table.add_column("95% interval", justify="right")
    for name, count, of in [
        ("agrees", found.agreed, found.judged),
        ("wrong answers called right", found.false_positives, found.negatives),
        ("right answers called wrong", found.missed, found.positives),
        ("planted words passed", found.passed, found.planted),
        ("no verdict", found.rows - found.judged, found.rows),
    ]:
        table.add_row(name, f"{count:,} of {of:,}", *_fraction(count, of))
    for reason, count in found.reasons.items():
        table.add_row(f"  {reason}", f"{count:,}", "", "")
    kappa, difference = found.kappa, found.difference
    table.add_row("Cohen's kappa", "", "unknown" if kappa is None else f"{kappa:.2f}", "")
    table.add_row("mean distance of scores", "", "unknown" if difference is None else f"{difference:.2f}", "")
    return table


def _fraction(count: int, of: int) -> tuple[str, str]:
    if not of:
        return "unknown", ""
    low, high = wilson(count, of)
    return f"{count / of:.3f}", f"{low:.3f}–{high:.3f}"
