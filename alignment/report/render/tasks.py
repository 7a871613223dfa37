"""The tables of the report's part on tasks: accuracy of each after each stage, and how each went over the steps of RL.

For the page and for Markdown. Neighbours: ../document.py (TaskOverSteps), ../tasks.py (makes it), html.py (its own table of
accuracy, with colours).
"""

from collections.abc import Sequence

from alignment.core.vocabulary import MODES, Mode
from alignment.report import phrases
from alignment.report.document import Ends, Report, StageSection, TaskOverSteps

LEGEND = (
    "Accuracy in % with its interval, and the change since the stage before. Each task is tested by itself, without a correction "
    "for their number: of twenty tasks that stand still, one may seem to change."
)
STEPS_LEGEND = (
    "Mean of the first quarter of the steps and of the last. Groups are the task's part of a step; a task that is always or never "
    "solved teaches nothing, and `order: task_variance` draws it less. Solved is the fraction with every verifier's full score."
)
STEPS_HEADINGS = ("stage", "task", "groups %", "reward", "solved %")


def accuracy_headings(report: Report) -> tuple[str, ...]:
    """Of `accuracy_table`."""
    return "task", "mode", *(stage.name for stage in _evaluated(report))


def accuracy_table(report: Report) -> list[tuple[str, ...]]:
    """A row for each task and mode with a cell for each evaluated stage; empty where there is a single task."""
    stages = _evaluated(report)
    names = dict.fromkeys(
        task.task for stage in stages for figures in stage.evaluations.values() for task in figures.tasks
    )
    if len(names) < 2:
        return []
    rows = [
        (name, phrases.MODE_NAMES[mode], *(_cell(stage, mode, name) for stage in stages))
        for mode in MODES
        for name in names
    ]
    return [row for row in rows if any(one != phrases.MISSING for one in row[2:])]


def steps_table(rows: Sequence[TaskOverSteps]) -> list[tuple[str, ...]]:
    """A row for each task, in the order of STEPS_HEADINGS."""
    return [
        (one.stage, one.task, _percents(one.groups), _numbers(one.reward), _percents(one.pass_rate)) for one in rows
    ]


def _evaluated(report: Report) -> list[StageSection]:
    return [stage for stage in report.stages if stage.evaluations]


def _cell(stage: StageSection, mode: Mode, name: str) -> str:
    scores = stage.evaluations[mode].tasks if mode in stage.evaluations else ()
    score = next((one for one in scores if one.task == name), None)
    if score is None:
        return phrases.MISSING
    changed = stage.changes[mode].tasks if mode in stage.changes else ()
    tested = next((one.tested for one in changed if one.task == name), None)
    said = phrases.with_interval(score.accuracy)
    if tested is None or not tested.significant:
        return said
    return f"{said} {phrases.arrow(tested.accuracy)} {phrases.points(tested.accuracy)}"


def _percents(ends: Ends) -> str:
    return f"{phrases.percent(ends.first)} → {phrases.percent(ends.last)}"


def _numbers(ends: Ends) -> str:
    return " → ".join(phrases.MISSING if one is None else f"{one:.2f}" for one in (ends.first, ends.last))
