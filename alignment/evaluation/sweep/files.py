"""What a budget sweep leaves: budget.json (everything), budget.csv (a row for each point), budget.png (the curves).

Neighbours: sweep_plan.py (points.jsonl, from which these are made), knee.py, sweep_picture.py; report/ reads budget.json.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError
from alignment.core.files import write_json
from alignment.evaluation.sweep.knee import knee
from alignment.evaluation.sweep.plan import SweepPlan
from alignment.records.outcomes import outcomes_file

SCHEMA_VERSION = 1
NOT_SHOWN = ("key", "identity")
SETTINGS = ("count", "samples", "seed", "max_completion_tokens", "engine", "thinking_budget", "sampling")
Facts = dict[str, Any]


def write_sweep(plan: SweepPlan) -> Facts:
    """Write the three files from what is recorded; returns what budget.json holds."""
    points = [{name: value for name, value in facts.items() if name not in NOT_SHOWN} for facts in plan.measured()]
    settings = plan.settings.model_dump(mode="json")
    document = {
        "schema": SCHEMA_VERSION,
        "settings": {name: settings[name] for name in SETTINGS},
        "stages": [{"stage": policy.name, "policy": policy.output_hash()} for policy in plan.policies],
        "points": points,
        "knees": knees(points),
        "outcomes": _outcomes(plan),
    }
    write_json(plan.output / "budget.json", document)
    _write_text(plan.output / "budget.csv", as_csv(points))
    from alignment.evaluation.sweep.picture import draw  # nothing else needs matplotlib, which is slow to import

    draw(document, plan.output / "budget.png")
    return document


def _outcomes(plan: SweepPlan) -> list[Facts]:
    """Where the outcomes of each problem are at each point, in the order of the points."""
    files = [(point, outcomes_file(plan.output, point.key)) for point in plan.points]
    return [
        {**point.place, "file": file.relative_to(plan.output).as_posix()} for point, file in files if file.is_file()
    ]


def knees(points: Sequence[Facts]) -> list[Facts]:
    """The knee of each stage's curve on each task; budget is None where a curve has none."""
    curves: dict[tuple[str, str], list[Facts]] = {}
    for point in points:
        if point["mode"] == "thinking":
            curves.setdefault((point["stage"], point["task"]), []).append(point)
    return [{"stage": stage, "task": task, "budget": knee(curve)} for (stage, task), curve in curves.items()]


def as_csv(points: Sequence[Facts]) -> str:
    """A row for each point; of its votes, the one over all samples."""
    rows = []
    for point in points:
        last = point["votes"][-1] if point["votes"] else {}
        voted = {name: last.get(name) for name in ("votes", "majority", "best_of_upper_bound")}
        rows.append({**{name: value for name, value in point.items() if name != "votes"}, **voted})
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
