"""`alignment budget`: measures accuracy over thinking budgets, point by point.

Each policy is measured in a separate process. Each point is recorded when it is finished, so the same command resumes.
Neighbours: options.py (the plan), evaluation/sweep/ (the process and its files).
"""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from alignment.commands.budget.options import SweepOptions
from alignment.core.console import open_console
from alignment.core.statistics.intervals import as_text
from alignment.core.typed_json import encode
from alignment.evaluation.sweep.files import write_sweep
from alignment.evaluation.sweep.plan import Point, SweepPlan
from alignment.records.sweep import Sweep, SweepPoint
from alignment.report.phrases import decimals
from alignment.run.budget_sweep import held_alone
from alignment.run.work_process import run_work


def sweep_budgets(options: SweepOptions, *, as_json: bool) -> Sweep:
    """Measure what is missing, write the sweep's files and print its points; returns what budget.json holds.

    Raises OptionError for options that cannot work, StageFailed if measuring fails; what was measured stays.
    """
    console = open_console(stderr=True)
    plan = options.plan()
    with held_alone(plan.output):
        changes = plan.changes()
        if changes:
            console.print(
                f"{plan.points_file} has points of other settings, which are kept there and not used here:\n  "
                + "\n  ".join(changes), highlight=False, markup=False,
            )  # fmt: skip
        missing = plan.missing()
        found = len(plan.points) - len(missing)
        if found:
            console.print(f"{found} of {len(plan.points)} points are already measured", highlight=False)
        for name in dict.fromkeys(point.place.stage for point in missing):
            _measure(plan, [point for point in missing if point.place.stage == name])
        sweep = write_sweep(plan)
    if as_json:
        print(json.dumps(encode(sweep.points), indent=2, ensure_ascii=False))
    else:
        _print(sweep, plan.output)
    return sweep


def _measure(plan: SweepPlan, missing: list[Point]) -> None:
    """The missing points of one policy, in one process."""
    name, log = missing[0].place.stage, plan.output / "sweep.log"
    title = f"measuring {name} at {len(missing)} points"
    work, module, of_stage = plan.work(missing), "alignment.evaluation.sweep.job", ("--stage", name)
    run_work(work, module, title, log, plan.hardware, offline=plan.offline, more=of_stage)


def _print(sweep: Sweep, output: Path) -> None:
    console = open_console()
    for stage, task in dict.fromkeys((point.place.stage, point.place.task) for point in sweep.points):
        points = [point for point in sweep.points if (point.place.stage, point.place.task) == (stage, task)]
        knee = next((one.budget for one in sweep.knees if (one.stage, one.task) == (stage, task)), None)
        console.print(_table(points, knee, f"{stage} on {task}"))
    console.print(f"files: {output / 'budget.json'}, budget.csv, budget.png", highlight=False, soft_wrap=True)


def _table(points: Sequence[SweepPoint], knee: int | None, title: str) -> Table:
    """One curve, eighty columns wide."""
    too_long = points[0].left_out_too_long
    title += f" (without {too_long} problems above max_prompt_tokens)" if too_long else ""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left")
    headings = ("budget", "accuracy (95%)", "thinking\ntokens", "answer\ntokens", "forced", "finished", "vote", "best")
    for heading in headings:
        table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for point in points:
        found, budget = point.figures, point.place.budget
        most = found.votes[-1] if found.votes else None
        table.add_row(
            "non-thinking" if budget is None else f"{'knee ' * (budget == knee)}{budget:,}",
            as_text(found.accuracy, found.unknown),
            decimals(found.mean_thinking_tokens.value, ".1f"),
            decimals(found.mean_answer_tokens.value, ".1f"),
            decimals(found.forced_fraction.value),
            decimals(found.finished_fraction.value),
            decimals(most.majority.value if most else None),
            decimals(most.best_of_upper_bound.value if most else None),
        )
    return table
