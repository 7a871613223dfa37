"""`alignment budget`: how accuracy grows with the tokens that a policy may think, measured point by point.

Each policy is measured in a process of its own, and each point is recorded when it is done, so that the same command
goes on where it was stopped. Neighbours: options.py (what is asked), evaluation/sweep/ (the process and its files).
"""

import fcntl
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from alignment.commands.budget.options import SweepOptions
from alignment.core.errors import ArtifactError
from alignment.core.files import write_json
from alignment.core.statistics.intervals import as_text
from alignment.evaluation.sweep.files import write_sweep
from alignment.evaluation.sweep.plan import Point, SweepPlan
from alignment.run.processes import environment
from alignment.run.watch import refuse_failure, watched


def sweep_budgets(options: SweepOptions, *, as_json: bool) -> dict[str, Any]:
    """Measure what is missing, write the sweep's files and print its points; returns what budget.json holds.

    Raises OptionError for options that cannot work, StageFailed if measuring fails; what was measured stays.
    """
    console = Console(stderr=True)
    plan = options.plan()
    with _alone(plan.output):
        changes = plan.changes()
        if changes:
            console.print(
                f"{plan.points_file} has points of other settings, which are kept there and not used here:\n  "
                + "\n  ".join(changes), highlight=False, markup=False,
            )  # fmt: skip
        missing = plan.missing()
        found = len(plan.points) - len(missing)
        if found:
            console.print(f"{found} of {len(plan.points)} points are measured already", highlight=False)
        for name in dict.fromkeys(point.stage for point in missing):
            _measure(plan, [point for point in missing if point.stage == name], console)
        document = write_sweep(plan)
    if as_json:
        print(json.dumps(document["points"], indent=2, ensure_ascii=False))
    else:
        _print(document, plan.output)
    return document


def _measure(plan: SweepPlan, missing: list[Point], console: Console) -> None:
    """The missing points of one policy, in one process."""
    name, log = missing[0].stage, plan.output / "sweep.log"
    title = f"measuring {name} at {len(missing)} points"
    log.unlink(missing_ok=True)  # what an earlier process said must not pass for this one's
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "work.json"
        write_json(work, {
            "settings": plan.settings.model_dump(mode="json"),
            "trust_remote_code": plan.trust_remote_code,
            "policies": {policy.name: str(policy.folder) for policy in plan.policies},
            "files": dict(plan.files),
            "points": str(plan.points_file),
            "missing": [asdict(point) for point in missing],
        })  # fmt: skip
        command = [sys.executable, "-m", "alignment.evaluation.sweep.job", str(work), "--stage", name]
        env = environment(plan.hardware, offline=plan.offline)
        refuse_failure(watched(title, command, log, console, env), title, log)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises ArtifactError if another sweep writes here, or if nothing can be written."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        file = (output / ".lock").open("a")
    except OSError as error:
        raise ArtifactError(f"{output}: cannot be written ({error.strerror}); write --output DIRECTORY") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(f"{output}: another sweep is under way here; wait for it, or write --output") from None
        yield


def _print(document: dict[str, Any], output: Path) -> None:
    console = Console()
    for place in {(point["stage"], point["task"]): point for point in document["points"]}:
        points = [point for point in document["points"] if (point["stage"], point["task"]) == place]
        at = next((one["budget"] for one in document["knees"] if (one["stage"], one["task"]) == place), None)
        console.print(_table(points, at, f"{place[0]} on {place[1]}"))
    console.print(f"files: {output / 'budget.json'}, budget.csv, budget.png", highlight=False, soft_wrap=True)


def _table(points: list[dict[str, Any]], knee: int | None, title: str) -> Table:
    """One curve, eighty columns wide."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left")
    headings = ("budget", "accuracy (95%)", "thinking\ntokens", "answer\ntokens", "forced", "finished", "vote", "best")
    for heading in headings:
        table.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    for point in points:
        most = point["votes"][-1] if point["votes"] else None
        table.add_row(
            "non-thinking" if point["budget"] is None else f"{'knee ' * (point['budget'] == knee)}{point['budget']:,}",
            as_text(point), f"{point['mean_thinking_tokens']:.1f}", f"{point['mean_answer_tokens']:.1f}",
            f"{point['forced_fraction']:.3f}", f"{point['finished_fraction']:.3f}",
            f"{most['majority']:.3f}" if most else "–", f"{most['best_of_upper_bound']:.3f}" if most else "–",
        )  # fmt: skip
    return table
