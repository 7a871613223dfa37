"""The pictures of `alignment budget` in the report: accuracy over the budget, and against voting at equal tokens.

Neighbours: charts.py (the report's other pictures), svg.py (how things are drawn), page.html.jinja (their colours).
"""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from alignment.report.figures.stages import budget_places, percent_ticks
from alignment.report.figures.svg import Mark, Plot, Series, line_chart
from alignment.report.render import phrases

COLOURS = 6  # classes line-0 to line-5 of the style sheet
Facts = dict[str, Any]


def sweep_figures(document: Facts) -> list[Facts]:
    """For each task its two pictures, either of which may be missing, and its points by stage."""
    sweep = document["sweep"]
    if sweep is None:
        return []
    figures = []
    for task in dict.fromkeys(point["task"] for point in sweep["points"]):
        points = [point for point in sweep["points"] if point["task"] == task]
        knees = {one["stage"]: one["budget"] for one in sweep["knees"] if one["task"] == task}
        pictures = {"curve": sweep_curve(points, knees, task), "votes": sweep_votes(points)}
        figures.append({"task": task, "points": points, "knees": knees, "voted": _stages(points)[-1]} | pictures)
    return figures


def sweep_curve(points: Sequence[Facts], knees: Facts, task: str) -> Markup | None:
    """A line for each stage over the budgets, its accuracy without thinking dashed, its knee ringed."""
    budgets = sorted({point["budget"] for point in points if point["budget"] is not None})
    if len(budgets) < 2:
        return None
    places = dict(zip(budgets, budget_places([{"budget": budget} for budget in budgets]), strict=True))
    lines, levels = [], []
    for number, stage in enumerate(_stages(points)):
        style = f"line-{number % COLOURS}"
        curve = _curve(points, stage)
        if curve:
            marks = tuple(_mark(point, places[point["budget"]], point["budget"] == knees.get(stage)) for point in curve)
            lines.append(Series(style, f"{stage} {phrases.percent(marks[-1].y)}", marks))
        for plain in (point for point in points if point["stage"] == stage and point["budget"] is None):
            levels.append(
                Series(style, f"no thinking {phrases.percent(plain['accuracy'])}", (_mark(plain, 0.0, False),))
            )
    ticks = tuple((places[budget], phrases.figure(budget)) for budget in budgets)
    title = f"Accuracy on {task} over the thinking budget"
    edges = percent_ticks(_edges([*lines, *levels]))
    plot = Plot(title, ticks, edges, "thinking budget in tokens, logarithmic", tuple(levels), margin_right=150)
    return line_chart(plot, lines)


def sweep_votes(points: Sequence[Facts]) -> Markup | None:
    """The last stage: one sample thinking longer, against a majority of more samples at each budget; best of dotted."""
    stage = _stages(points)[-1]
    curve = _curve(points, stage)
    voted = [point for point in points if point["stage"] == stage and len(point["votes"]) > 1]
    if not voted:
        return None
    single = tuple(_at_tokens(_spent(point), point["accuracy"]) for point in curve)
    lines = [Series("line-0", "one sample", single)] if len(single) > 1 else []
    for number, point in enumerate(voted, 1):
        style, name = f"line-{number % COLOURS}", _name(point)
        best = [_at_tokens(vote["mean_tokens"], vote["best_of_upper_bound"]) for vote in point["votes"]]
        majority = [_at_tokens(vote["mean_tokens"], vote["majority"]) for vote in point["votes"]]
        lines.append(Series(f"{style} bound", "", tuple(best)))
        lines.append(Series(style, f"votes, {name}", tuple(majority)))
    places = [mark.x for one in lines for mark in one.marks]
    powers = range(math.floor(min(places)), math.ceil(max(places)) + 1)
    ticks = tuple((float(power), phrases.figure(2.0**power)) for power in powers)
    plot = Plot(f"Votes of {stage}", ticks, percent_ticks(_edges(lines)), "tokens spent on a problem, logarithmic",
                margin_right=150)  # fmt: skip
    return line_chart(plot, lines)


def _mark(point: Facts, place: float, ringed: bool) -> Mark:
    hint = f"{point['stage']}, {_name(point)}: {phrases.percent(point['accuracy'])}{' (knee)' * ringed}"
    return Mark(place, point["accuracy"], point["accuracy_low"], point["accuracy_high"], hint=hint, ringed=ringed)


def _at_tokens(tokens: float | None, share: float) -> Mark:
    hint = f"{phrases.count(tokens)} tokens: {phrases.percent(share)}"
    return Mark(math.log2(max(1.0, tokens or 1.0)), share, hint=hint)


def _spent(point: Facts) -> float:
    return (point["mean_thinking_tokens"] or 0.0) + (point["mean_answer_tokens"] or 0.0)


def _name(point: Facts) -> str:
    return "no thinking" if point["budget"] is None else f"budget {phrases.count(point['budget'])}"


def _stages(points: Sequence[Facts]) -> list[str]:
    return list(dict.fromkeys(point["stage"] for point in points))


def _curve(points: Sequence[Facts], stage: str) -> list[Facts]:
    own = [point for point in points if point["stage"] == stage and point["budget"] is not None]
    return sorted(own, key=lambda point: point["budget"])


def _edges(lines: Sequence[Series]) -> list[float]:
    marks = [mark for one in lines for mark in one.marks]
    return [edge for mark in marks for edge in (mark.low, mark.high, mark.y) if edge is not None]
