"""The files of a budget sweep: budget.json (everything), budget.csv (a row per point), budget.png (the curves).

Neighbours: plan.py (points.jsonl, from which these are made), knee.py, picture.py; report/ reads budget.json.
"""

import csv
import io
from collections.abc import Sequence

from alignment.core.files import write_text
from alignment.core.typed_json import encode
from alignment.evaluation.sweep.knee import knee
from alignment.evaluation.sweep.plan import SweepPlan
from alignment.records.sweep import (
    SWEEP,
    Knee,
    OutcomesFile,
    Sweep,
    SweepPoint,
    SweepSettings,
    SweptPolicy,
    outcomes_file,
)


def write_sweep(plan: SweepPlan) -> Sweep:
    """Write the three files from what is recorded; returns what budget.json holds. Raises ArtifactError."""
    points, settings = plan.measured(), plan.settings
    sweep = Sweep(
        points=tuple(points),
        stages=tuple(SweptPolicy(policy.name, policy.output_hash()) for policy in plan.policies),
        knees=knees(points),
        outcomes=_outcomes(plan),
        settings=SweepSettings(
            count=settings.count,
            samples=settings.samples,
            seed=settings.seed,
            max_completion_tokens=settings.max_completion_tokens,
            engine=settings.engine.model_dump(mode="json"),
            thinking_budget=settings.thinking_budget.model_dump(mode="json"),
            sampling=settings.sampling,
        ),
    )
    sweep.write(plan.output / SWEEP)
    write_text(plan.output / "budget.csv", as_csv(points))
    from alignment.evaluation.sweep.picture import draw  # nothing else needs matplotlib, which is slow to import

    draw(sweep, plan.output / "budget.png")
    return sweep


def _outcomes(plan: SweepPlan) -> tuple[OutcomesFile, ...]:
    """Where the outcomes of each problem are at each point, in the order of the points."""
    files = [(point, outcomes_file(plan.output, point.key)) for point in plan.points]
    return tuple(
        OutcomesFile(point.place, file.relative_to(plan.output).as_posix()) for point, file in files if file.is_file()
    )


def knees(points: Sequence[SweepPoint]) -> tuple[Knee, ...]:
    """The knee of each stage's curve on each task; budget is None where a curve has none."""
    curves: dict[tuple[str, str], list[SweepPoint]] = {}
    for point in points:
        if point.place.mode == "thinking":
            curves.setdefault((point.place.stage, point.place.task), []).append(point)
    return tuple(Knee(stage, task, knee(curve)) for (stage, task), curve in curves.items())


def as_csv(points: Sequence[SweepPoint]) -> str:
    """A row for each point; of its votes, the one over all samples."""
    rows = []
    for point in points:
        row = encode(point)
        last = row.pop("votes")[-1:] or [{}]
        rows.append({**row, **{name: last[0].get(name) for name in ("votes", "majority", "best_of_upper_bound")}})
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
