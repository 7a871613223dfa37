"""Run -> Report: sums up, compares and judges what a run recorded.

Neighbours: run.py (the Run), document.py (the Report), changes.py and alarms/ (what is judged), render/ (its forms).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from alignment.core.vocabulary import MODES, Mode
from alignment.records.metrics import metric
from alignment.records.sweep import Knee, SweepPoint
from alignment.report.alarms import alarms
from alignment.report.changes import accuracy_change, evaluated_before, mode_change, spearman
from alignment.report.document import (
    SCHEMA_VERSION,
    AgainstBest,
    CardSection,
    Change,
    CurveSection,
    Final,
    MetricSummary,
    Number,
    NumberedAttempt,
    Report,
    RewardModelSection,
    StageSection,
    SweepSection,
)
from alignment.report.paired_prompts import paired_shifts
from alignment.report.phrases import summary
from alignment.report.process import process_section
from alignment.report.run import Run, Stage
from alignment.report.scores import rewards_over_steps
from alignment.report.tasks import tasks_over_steps


def build_report(run: Run) -> Report:
    """The whole report of a run."""
    changes = {stage.name: _changes(run, index) for index, stage in enumerate(run.stages)}
    report = Report(
        schema=SCHEMA_VERSION,
        recipe=run.recipe,
        seed=run.seed,
        model=run.model,
        started=run.started,
        seconds=_total_seconds(run),
        stages=tuple(_stage(stage, changes[stage.name]) for stage in run.stages),
        final=_final(run),
        sweep=_sweep(run),
        row_curves=run.row_curves,
        mixtures=run.mixtures,
        process=process_section(run),
        reward_models=_reward_models(run),
        rewards_over_steps=rewards_over_steps(run),
        tasks_over_steps=tasks_over_steps(run),
        paired_shifts=paired_shifts(run),
        pairwise=run.pairwise,
        alarms=tuple(alarms(run, changes)),
        versions=run.versions,
        hardware=run.hardware,
        notes=(*run.notes, *_stale_sweep(run), *_stale_comparisons(run)),
        summary="",
    )
    return replace(report, summary=summary(report))


def _reward_models(run: Run) -> tuple[RewardModelSection, ...]:
    return tuple(RewardModelSection(one.name, one.reward_model) for one in run.stages if one.reward_model is not None)


def _stage(stage: Stage, changes: Mapping[Mode, Change]) -> StageSection:
    return StageSection(
        name=stage.name,
        kind=stage.kind,
        outcome=stage.outcome,
        seconds=_rounded(stage.seconds),
        evaluation_seconds=round(sum(_evaluation_seconds(stage)), 3),
        attempts=tuple(NumberedAttempt(number, one) for number, one in stage.attempts.items()),
        steps=stage.steps,
        tokens=stage.tokens,
        inputs=stage.inputs,
        output_hash=stage.output_hash,
        counts=stage.counts,
        evaluations={mode: found.figures for mode, found in stage.evaluations.items()},
        changes=changes,
        follow=stage.follow,
        constraints=stage.constraints,
        training=_training(stage),
        card=CardSection(stage.card_page, stage.card.figures) if stage.card and stage.card_page else None,
    )


def _evaluation_seconds(stage: Stage) -> list[float]:
    spent = [found.figures.seconds for found in stage.evaluations.values()]
    spent += [stage.follow.seconds] if stage.follow else []
    return [seconds for seconds in spent if seconds is not None]


def _changes(run: Run, index: int) -> dict[Mode, Change]:
    stage = run.stages[index]
    found: dict[Mode, Change] = {}
    for mode in MODES:
        before = evaluated_before(run.stages, index, mode)
        if mode in stage.evaluations and before is not None:
            earlier, later = before.evaluations[mode].figures, stage.evaluations[mode].figures
            found[mode] = mode_change(before.name, earlier, later)
    return found


def _training(stage: Stage) -> dict[str, MetricSummary]:
    """{metric: its summary}; `best` is None for a metric without a better direction."""
    summaries = {}
    for name in sorted({name for row in stage.metrics for name in row.figures}):
        values = [value for _, value in stage.series(name)]
        if values:
            better = metric(name).better
            best = min(values) if better == "less" else max(values) if better == "more" else None
            summaries[name] = MetricSummary(values[0], values[-1], best, round(fmean(values), 6))
    return summaries


def _final(run: Run) -> dict[Mode, Final]:
    """{mode: the last evaluated stage's accuracy, and how it stands against the best stage in that mode}."""
    final: dict[Mode, Final] = {}
    for mode in MODES:
        path = [(stage.name, stage.evaluations[mode].figures) for stage in run.stages if mode in stage.evaluations]
        if not path:
            continue
        name, last = path[-1]
        best_name, best = max(path, key=lambda pair: pair[1].accuracy.value or 0.0)
        against = AgainstBest(best_name, best.accuracy.value, accuracy_change(best, last))
        final[mode] = Final(name, last.count, last.accuracy, against)
    return final


def _sweep(run: Run) -> SweepSection | None:
    if run.sweep is None:
        return None
    curves: dict[tuple[str, str], list[SweepPoint]] = {}
    for point in run.sweep.points:
        if point.place.mode == "thinking":
            curves.setdefault((point.place.stage, point.place.task), []).append(point)
    listed = [_curve(stage, task, points, run.sweep.knees) for (stage, task), points in curves.items()]
    return SweepSection(run.sweep.points, tuple(listed))


def _curve(stage: str, task: str, points: Sequence[SweepPoint], knees: Sequence[Knee]) -> CurveSection:
    knee = next((one.budget for one in knees if (one.stage, one.task) == (stage, task)), None)
    return CurveSection(stage, task, knee, spearman(points))


def _stale_sweep(run: Run) -> list[str]:
    hashes = {stage.name: stage.output_hash for stage in run.stages}
    policies = run.sweep.stages if run.sweep else ()
    stale = [one.stage for one in policies if hashes.get(one.stage) != one.policy]
    return (
        [f"The budget sweep of {', '.join(stale)} was measured on another policy than is there now."] if stale else []
    )


def _stale_comparisons(run: Run) -> list[str]:
    hashes = {stage.name: stage.output_hash for stage in run.stages}
    return [
        f"The comparison of {one.a.name} with {one.b.name} by {one.judge} is of another policy than is there now."
        for one in run.pairwise
        if any(side.name in hashes and hashes[side.name] != side.policy for side in (one.a, one.b))
    ]


def _total_seconds(run: Run) -> Number:
    """Wall time of all stages and their evaluations."""
    spent = [stage.seconds for stage in run.stages if stage.seconds is not None]
    spent += [seconds for stage in run.stages for seconds in _evaluation_seconds(stage)]
    return _rounded(sum(spent)) if spent else None


def _rounded(seconds: Number) -> Number:
    return None if seconds is None else round(seconds, 3)
