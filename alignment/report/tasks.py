"""How the tasks of a stage that trains on many at once went over its steps: how often each was drawn, reward and pass rate.

Neighbours: run.py (Stage), records/metrics.py (the metrics `task/...`), document.py (TaskOverSteps), render/tasks.py (the table).
"""

from collections.abc import Sequence
from statistics import fmean

from alignment.report.alarms.trends import outer_quarters
from alignment.report.document import Ends, TaskOverSteps
from alignment.report.run import Run, Stage

PREFIX, LAST = "task/", "/groups_fraction"


def tasks_over_steps(run: Run) -> tuple[TaskOverSteps, ...]:
    """A row for each task of each stage that recorded several, in the order of the stages."""
    return tuple(_row(stage, task) for stage in run.stages for task in _tasks(stage))


def _tasks(stage: Stage) -> list[str]:
    names = dict.fromkeys(name for row in stage.metrics for name in row.figures)
    return [
        name.removeprefix(PREFIX).removesuffix(LAST)
        for name in names
        if name.startswith(PREFIX) and name.endswith(LAST)
    ]


def _row(stage: Stage, task: str) -> TaskOverSteps:
    figures = (stage.series(f"{PREFIX}{task}/{name}") for name in ("groups_fraction", "reward", "pass_rate"))
    return TaskOverSteps(stage.name, task, *(_ends([value for _, value in series]) for series in figures))


def _ends(values: Sequence[float]) -> Ends:
    if not values:
        return Ends(None, None)
    before, after = outer_quarters(values)
    return Ends(round(fmean(before), 6), round(fmean(after), 6))
