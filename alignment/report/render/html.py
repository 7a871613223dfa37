"""Run and report -> report.html, one file with nothing from elsewhere (alignment/core/page.py).

What a model or a recipe wrote is escaped; only charts, built from escaped parts, are inserted as they are. Neighbours:
page.html.jinja (layout and style), report/figures/ (pictures), samples.py (which model answers are shown).
"""

from dataclasses import dataclass

from markupsafe import Markup

from alignment.core.page import page_template
from alignment.core.statistics.estimate import Estimate
from alignment.core.vocabulary import MODES, Mode
from alignment.records.metrics import METRICS
from alignment.report import phrases
from alignment.report.document import AccuracyChange, Report, StageSection
from alignment.report.figures import stages as charts
from alignment.report.figures.process import best_of_figure, calibration_figure
from alignment.report.figures.sweep import sweep_figures
from alignment.report.figures.trials import row_figure
from alignment.report.render import judges, paired_prompts, pairwise, process, reward_models, trials
from alignment.report.render import tasks as task_tables
from alignment.report.render.columns import report_columns
from alignment.report.render.following import (
    CONSTRAINT_LEGEND,
    FOLLOW_LEGEND,
    Rows,
    cautions,
    constrained_stages,
    constraint_table,
    follow_table,
    followed_stages,
    type_table,
)
from alignment.report.render.samples import comparisons, first_and_last
from alignment.report.run import Run
from alignment.report.scores import rewards_over_steps


@dataclass(frozen=True)
class Curve:
    """One training metric of one stage: its label, its picture, and where it began and ended."""

    label: str
    picture: Markup
    first: float
    last: float


@dataclass(frozen=True)
class TaskCell:
    """The accuracy on one task after one stage, and how it changed."""

    accuracy: Estimate
    change: AccuracyChange | None


@dataclass(frozen=True)
class TaskRow:
    """One task in one mode, with a cell for each evaluated stage."""

    task: str
    mode: Mode
    cells: tuple[TaskCell | None, ...]


@dataclass(frozen=True)
class Timing:
    """A stage's seconds, its own and those of its evaluations, and their fractions of the whole run."""

    name: str
    seconds: float
    evaluation_seconds: float
    fraction: float
    evaluation_fraction: float


@dataclass(frozen=True)
class Following:
    """Tables of flags over several turns and of where thinking helps; None where no stage has it."""

    follow: tuple[tuple[str, ...], Rows] | None
    constraints: tuple[tuple[str, ...], Rows] | None
    types: tuple[tuple[str, str, tuple[tuple[str, ...], Rows]], ...]  # stage, task, table: of the last stage
    cautions: tuple[str, ...]
    legends: tuple[str, str] = (FOLLOW_LEGEND, CONSTRAINT_LEGEND)


def render_page(report: Report, run: Run) -> str:
    """The page. The report gives every number, the run the curves and the model's texts."""
    template = page_template("alignment.report.render", phrases=phrases, interval_bar=charts.interval_bar)
    return template.render(
        document=report,
        columns=report_columns(report),
        evaluated=[stage for stage in report.stages if stage.evaluations],
        tasks=task_rows(report),
        accuracy=charts.accuracy_by_stage(report),
        tokens=charts.tokens_by_stage(report),
        target_lengths=[
            (stage.name, point)
            for stage in report.stages
            if "thinking" in stage.evaluations
            for point in stage.evaluations["thinking"].target_lengths
        ],
        sweeps=sweep_figures(report),
        trials=trials,
        row_figures=[(curve, row_figure(curve)) for curve in report.row_curves],
        following=following_tables(report),
        process=process,
        process_figures=process_figures(report),
        reward_models=reward_models,
        judges=judges,
        task_tables=task_tables,
        paired_prompts=paired_prompts,
        pairwise=pairwise,
        curves=training_curves(run),
        comparisons=comparisons(run),
        rollouts=first_and_last(run),
        lineage=charts.lineage(report),
        timings=timings(report),
        card_samples={stage.name: stage.card.samples for stage in run.stages if stage.card},
    )


def following_tables(report: Report) -> Following:
    """The tables of a report."""
    followed, constrained = followed_stages(report), constrained_stages(report)
    last = list(constrained.items())[-1:]
    return Following(
        follow=follow_table(followed) if followed else None,
        constraints=constraint_table(constrained) if constrained else None,
        types=tuple((stage, task.task, type_table(task)) for stage, tasks in last for task in tasks),
        cautions=tuple(cautions(constrained)),
    )


def process_figures(report: Report) -> list[tuple[str, Markup]]:
    """(caption, picture) of what there is to draw of the measured process reward model."""
    if report.process is None:
        return []
    record = report.process.measured
    drawn = [
        ("Calibration: right steps % over their score", calibration_figure(record)),
        ("Best of N: accuracy % over the answers to choose from", best_of_figure(record)),
    ]
    return [(words, found) for words, found in drawn if found is not None]


def training_curves(run: Run) -> list[tuple[str, list[Curve]]]:
    """(stage, its small multiples) for every stage that logged at least two steps of something worth a picture."""
    labelled = {name: metric.label for name, metric in METRICS.items() if metric.label}
    found, paid = [], rewards_over_steps(run)
    for stage in run.stages:
        shown = labelled | {
            f"reward/{one.name}/mean": f"{one.name} ({one.role})" for one in paid if one.stage == stage.name
        }
        drawn = [_curve(stage.series(name), f"{stage.name}, {label}", label) for name, label in shown.items()]
        if any(drawn):
            found.append((stage.name, [one for one in drawn if one]))
    return found


def _curve(series: list[tuple[float, float]], title: str, label: str) -> Curve | None:
    picture: Markup | None = charts.curve(series, title)
    return None if picture is None else Curve(label, picture, series[0][1], series[-1][1])


def task_rows(report: Report) -> list[TaskRow]:
    """One row per task and mode with the accuracy after each evaluated stage; empty where there is a single task."""
    evaluated = [stage for stage in report.stages if stage.evaluations]
    found = [figures for stage in evaluated for figures in stage.evaluations.values()]
    names = dict.fromkeys(task.task for figures in found for task in figures.tasks)
    if len(names) < 2:
        return []
    rows = [
        TaskRow(name, mode, tuple(_task_cell(stage, mode, name) for stage in evaluated))
        for mode in MODES
        for name in names
    ]
    return [row for row in rows if any(row.cells)]


def _task_cell(stage: StageSection, mode: Mode, name: str) -> TaskCell | None:
    scores = stage.evaluations[mode].tasks if mode in stage.evaluations else ()
    changed = stage.changes[mode].tasks if mode in stage.changes else ()
    score = next((one for one in scores if one.task == name), None)
    change = next((one.tested for one in changed if one.task == name), None)
    return None if score is None else TaskCell(score.accuracy, change)


def timings(report: Report) -> list[Timing]:
    """Each stage's fraction of the run's wall time, its own and that of its evaluations."""
    total = report.seconds or 0.0
    rows = []
    for stage in report.stages:
        own, evaluating = stage.seconds or 0.0, stage.evaluation_seconds
        if total and own + evaluating:
            rows.append(Timing(stage.name, own, evaluating, own / total, evaluating / total))
    return rows
