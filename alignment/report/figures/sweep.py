"""The pictures of a budget sweep: accuracy over the budget, and over the tokens spent, against voting.

Neighbours: stages.py (the report's other pictures), svg.py (how things are drawn), page.html.jinja (their colours).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from alignment.records.sweep import SweepPoint
from alignment.report import phrases
from alignment.report.document import CurveSection, Report
from alignment.report.figures.stages import percent_ticks
from alignment.report.figures.svg import Mark, Plot, Series, line_chart, ticks

COLOURS = 6  # classes line-0 to line-5 of the style sheet
Knees = Mapping[str, int | None]  # by stage


@dataclass(frozen=True)
class SweepFigure:
    """One task: its pictures, either of which may be missing, its points by stage, and what is said of its curves."""

    task: str
    points: Sequence[SweepPoint]
    knees: Knees
    curves: Sequence[CurveSection]
    curve: Markup | None
    spent: Markup | None  # over the tokens really spent; where several samples were drawn, against voting
    voted: str | None  # the stage whose votes `spent` shows


def sweep_figures(report: Report) -> list[SweepFigure]:
    """One for each task of the sweep."""
    if report.sweep is None:
        return []
    figures = []
    for task in dict.fromkeys(point.place.task for point in report.sweep.points):
        points = [point for point in report.sweep.points if point.place.task == task]
        known = [point for point in points if point.figures.accuracy.value is not None]
        curves = [one for one in report.sweep.curves if one.task == task]
        knees = {one.stage: one.knee for one in curves}
        votes = sweep_votes(known)
        voted = _stages(known)[-1] if votes else None
        figures.append(
            SweepFigure(
                task, points, knees, curves, sweep_curve(known, knees, task), votes or spent_curve(known, task), voted
            )
        )
    return figures


def budget_places(budgets: Sequence[int]) -> dict[int, float]:
    """log2(1 + budget / the smallest positive budget) of each."""
    unit = min((budget for budget in budgets if budget), default=1)
    return {budget: math.log2(1 + budget / unit) for budget in budgets}


def sweep_curve(points: Sequence[SweepPoint], knees: Knees, task: str) -> Markup | None:
    """A line for each stage over the budgets, its accuracy without thinking dashed, its knee ringed."""
    places = budget_places(sorted({point.place.budget for point in points if point.place.budget is not None}))
    if len(places) < 2:
        return None
    lines = []
    for style, stage in _styled(points):
        marks = tuple(
            _mark(point, places[point.place.budget or 0], point.place.budget == knees.get(stage))
            for point in _curve(points, stage)
        )
        if marks:
            lines.append(Series(style, f"{stage} {phrases.percent(marks[-1].y)}", marks))
    x_ticks = tuple((place, phrases.figure(budget)) for budget, place in places.items())
    levels = _levels(points)
    title = f"Accuracy on {task} over the thinking budget"
    label = "thinking budget in tokens, logarithmic"
    return line_chart(
        Plot(title, x_ticks, percent_ticks(_edges([*lines, *levels])), label, levels, margin_right=150), lines
    )


def spent_curve(points: Sequence[SweepPoint], task: str) -> Markup | None:
    """A line for each stage over the tokens spent, thinking and answer; non-thinking dashed."""
    lines = []
    for style, stage in _styled(points):
        marks = tuple(_mark(point, _spent(point), False) for point in _curve(points, stage))
        if len(marks) > 1:
            lines.append(Series(style, f"{stage} {phrases.percent(marks[-1].y)}", marks))
    if not lines:
        return None
    levels, most = _levels(points), max(mark.x for one in lines for mark in one.marks)
    x_ticks = tuple((value, phrases.figure(value)) for value in ticks(0.0, most))
    title, label = f"Accuracy on {task} over the tokens spent", "mean tokens really spent, thinking and answer"
    return line_chart(
        Plot(title, x_ticks, percent_ticks(_edges([*lines, *levels])), label, levels, margin_right=150), lines
    )


def sweep_votes(points: Sequence[SweepPoint]) -> Markup | None:
    """The last stage: one sample thinking longer, against a majority of more samples at each budget; best of dotted."""
    if not points:
        return None
    stage = _stages(points)[-1]
    voted = [point for point in points if point.place.stage == stage and len(point.figures.votes) > 1]
    if not voted:
        return None
    single = tuple(_at_tokens(_spent(point), point.figures.accuracy.value) for point in _curve(points, stage))
    lines = [Series("line-0", "one sample", single)] if len(single) > 1 else []
    for number, point in enumerate(voted, 1):
        style, votes = f"line-{number % COLOURS}", point.figures.votes
        best = [_at_tokens(vote.mean_tokens, vote.best_of_upper_bound.value) for vote in votes]
        majority = [_at_tokens(vote.mean_tokens, vote.majority.value) for vote in votes]
        lines.append(Series(f"{style} bound", "", tuple(best)))
        lines.append(Series(style, f"votes, {_name(point)}", tuple(majority)))
    places = [mark.x for one in lines for mark in one.marks]
    powers = range(math.floor(min(places)), math.ceil(max(places)) + 1)
    x_ticks = tuple((float(power), phrases.figure(2.0**power)) for power in powers)
    label = "tokens spent on a problem, logarithmic"
    return line_chart(Plot(f"Votes of {stage}", x_ticks, percent_ticks(_edges(lines)), label, margin_right=150), lines)


def _levels(points: Sequence[SweepPoint]) -> tuple[Series, ...]:
    """What each stage scores without thinking."""
    return tuple(
        Series(style, f"no thinking {phrases.percent(point.figures.accuracy.value)}", (_mark(point, 0.0, False),))
        for style, stage in _styled(points)
        for point in points
        if point.place.stage == stage and point.place.budget is None
    )


def _mark(point: SweepPoint, place: float, ringed: bool) -> Mark:
    accuracy = point.figures.accuracy
    hint = f"{point.place.stage}, {_name(point)}: {phrases.percent(accuracy.value)}{' (knee)' * ringed}"
    return Mark(place, accuracy.value or 0.0, accuracy.low, accuracy.high, hint=hint, ringed=ringed)


def _at_tokens(tokens: float, fraction: float | None) -> Mark:
    hint = f"{phrases.count(tokens)} tokens: {phrases.percent(fraction)}"
    return Mark(math.log2(max(1.0, tokens)), fraction or 0.0, hint=hint)


def _spent(point: SweepPoint) -> float:
    return (point.figures.mean_thinking_tokens.value or 0.0) + (point.figures.mean_answer_tokens.value or 0.0)


def _name(point: SweepPoint) -> str:
    return "no thinking" if point.place.budget is None else f"budget {phrases.count(point.place.budget)}"


def _stages(points: Sequence[SweepPoint]) -> list[str]:
    return list(dict.fromkeys(point.place.stage for point in points))


def _styled(points: Sequence[SweepPoint]) -> list[tuple[str, str]]:
    """(class of the style sheet, stage), a colour for each stage."""
    return [(f"line-{number % COLOURS}", stage) for number, stage in enumerate(_stages(points))]


def _curve(points: Sequence[SweepPoint], stage: str) -> list[SweepPoint]:
    own = [point for point in points if point.place.stage == stage and point.place.budget is not None]
    return sorted(own, key=lambda point: point.place.budget or 0)


def _edges(lines: Sequence[Series]) -> list[float]:
    marks = [mark for one in lines for mark in one.marks]
    return [edge for mark in marks for edge in (mark.low, mark.high, mark.y) if edge is not None]
