"""The report's pictures: accuracy and tokens by stage, training curves, interval bars and lineage.

Each takes the report, or the values of one series, and returns inline SVG, or None if there is nothing to draw.
Neighbours: svg.py (how things are drawn), report/render/html.py (where they stand on the page).
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from alignment.core.statistics.estimate import Estimate
from alignment.core.vocabulary import MODES, Mode
from alignment.report import phrases
from alignment.report.document import Report, StageSection
from alignment.report.figures.svg import Axis, Mark, Plot, Series, element, line, line_chart, picture, text, ticks

CURVE_POINTS = 160  # more are averaged in neighbouring groups; a pixel shows no more
ROW = 44.0  # height of one row of the lineage


def accuracy_by_stage(report: Report) -> Markup | None:
    """Both modes after every evaluated stage, with 95% intervals; a line that leads to a clear loss is drawn as one."""
    evaluated = [stage for stage in report.stages if stage.evaluations]
    series = []
    for mode in MODES:
        found = [_accuracy_mark(index, stage, mode) for index, stage in enumerate(evaluated)]
        marks = tuple(mark for mark in found if mark is not None)
        if marks:
            series.append(Series(mode, f"{phrases.MODE_NAMES[mode]} {phrases.percent(marks[-1].y)}", marks))
    if not series:
        return None
    edges = [edge for one in series for mark in one.marks for edge in (mark.low, mark.high, mark.y) if edge is not None]
    return line_chart(Plot("Held-out accuracy by stage", _names(evaluated), percent_ticks(edges)), series)


def tokens_by_stage(report: Report) -> Markup | None:
    """Mean thinking tokens after every evaluated stage: what the accuracy costs."""
    evaluated = [stage for stage in report.stages if stage.evaluations]
    series = []
    for mode in MODES:
        found = [_tokens_mark(index, stage, mode) for index, stage in enumerate(evaluated)]
        marks = tuple(mark for mark in found if mark is not None)
        if marks:
            series.append(Series(mode, f"{phrases.MODE_NAMES[mode]} {phrases.figure(marks[-1].y)}", marks))
    if not series:
        return None
    top = max(mark.y for one in series for mark in one.marks)
    y_ticks = tuple((value, phrases.figure(value)) for value in ticks(0, top or 1))
    return line_chart(Plot("Mean thinking tokens by stage", _names(evaluated), y_ticks), series)


def _names(stages: Sequence[StageSection]) -> tuple[tuple[float, str], ...]:
    return tuple((float(index), stage.name) for index, stage in enumerate(stages))


def _accuracy_mark(index: int, stage: StageSection, mode: Mode) -> Mark | None:
    accuracy = stage.evaluations[mode].accuracy if mode in stage.evaluations else Estimate(None)
    if accuracy.value is None:
        return None
    verdict = stage.changes[mode].tested.verdict if mode in stage.changes else ""
    hint = f"{stage.name}: {phrases.percent(accuracy.value)} ({_interval(accuracy)})"
    return Mark(index, accuracy.value, accuracy.low, accuracy.high, verdict, hint)


def _tokens_mark(index: int, stage: StageSection, mode: Mode) -> Mark | None:
    tokens = stage.evaluations[mode].mean_thinking_tokens if mode in stage.evaluations else None
    return None if tokens is None else Mark(index, tokens, hint=f"{stage.name}: {phrases.figure(tokens)}")


def _interval(figure: Estimate) -> str:
    return phrases.interval(figure) or "no interval"


def percent_ticks(edges: Sequence[float]) -> tuple[tuple[float, str], ...]:
    """Ticks in percent that cover these fractions, as `(value, label)`."""
    low, high = max(0.0, min(edges)), min(1.0, max(edges))
    return tuple((value, f"{100 * value:g}") for value in ticks(low, high))


def curve(series: Sequence[tuple[float, float]], title: str) -> Markup | None:
    """One training metric over steps: recorded values faint, their running mean strong, least and most at the side."""
    if len(series) < 2:
        return None
    points = _thinned(series)
    low, high = min(y for _, y in points), max(y for _, y in points)
    x_axis = Axis(points[0][0], points[-1][0], 6, 194)
    y_axis = Axis(low, high, 74, 10)
    drawn = [
        line((6, 74, 194, 74), "grid"),
        line((6, 10, 194, 10), "grid"),
        text(200, 14, phrases.figure(high), class_="tick"),
        text(200, 78, phrases.figure(low), class_="tick"),
        text(6, 92, f"step {points[0][0]:.0f}", class_="tick"),
        text(194, 92, f"{points[-1][0]:.0f}", class_="tick", text_anchor="end"),
    ]
    if len(points) > 20:
        drawn.append(_polyline(points, x_axis, y_axis, "raw"))
        points = _running_mean(points, len(points) // 12)
    drawn.append(_polyline(points, x_axis, y_axis, "smooth"))
    return picture(240, 96, title, *drawn)


def _polyline(points: Sequence[tuple[float, float]], x_axis: Axis, y_axis: Axis, style: str) -> Markup:
    places = " ".join(f"{x_axis.at(x)},{y_axis.at(y)}" for x, y in points)
    return element("polyline", points=places, class_=f"curve {style}")


def _thinned(series: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = math.ceil(len(series) / CURVE_POINTS)
    groups = [series[start : start + size] for start in range(0, len(series), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _running_mean(points: Sequence[tuple[float, float]], reach: int) -> list[tuple[float, float]]:
    windows = [points[max(0, index - reach) : index + reach + 1] for index in range(len(points))]
    return [(x, sum(y for _, y in window) / len(window)) for (x, _), window in zip(points, windows, strict=True)]


def interval_bar(accuracy: Estimate, mode: Mode) -> Markup:
    """An accuracy with its interval on a line from 0 to 100, for a table cell."""
    axis = Axis(0.0, 1.0, 3, 107)
    drawn = [line((3, 8, 107, 8), "rail")]
    if accuracy.low is not None and accuracy.high is not None:
        drawn.append(line((axis.at(accuracy.low), 8, axis.at(accuracy.high), 8), f"reach {mode}"))
    if accuracy.value is not None:
        drawn.append(element("circle", cx=axis.at(accuracy.value), cy=8, r=2.8, class_=f"dot {mode}"))
    return picture(110, 16, f"{phrases.percent(accuracy.value)}, interval {_interval(accuracy)}", *drawn)


def lineage(report: Report) -> Markup:
    """Lineage: the model at the top, a line from each input to each stage, dashed if a hash differs."""
    stages = report.stages
    rows = {"model": 0} | {stage.name: index for index, stage in enumerate(stages, start=1)}
    edges = [(rows[name], rows[stage.name], stage, name) for stage in stages for name in stage.inputs if name in rows]
    reach = max((below - above for above, below, _, _ in edges), default=1)
    column = 12.0 + 11.0 * min(4, reach)
    hashes = {stage.name: stage.output_hash for stage in stages}
    drawn = []
    for above, below, stage, name in edges:
        stale = hashes.get(name) not in (None, stage.inputs[name])
        drawn.append(_edge(column, above, below, " stale" if stale else ""))
    base: str | None = next((stage.inputs["model"] for stage in stages if "model" in stage.inputs), None)
    drawn += _node(column, 0, report.model.rstrip("/").rpartition("/")[2], f"model  {phrases.short_hash(base)}", "")
    for index, stage in enumerate(stages, start=1):
        unfinished = "" if stage.outcome == "finished" else " open"
        state = phrases.short_hash(stage.output_hash) if not unfinished else stage.outcome
        drawn += _node(column, index, stage.name, f"{stage.kind}  {state}", unfinished)
    return picture(460, ROW * (len(stages) + 1), "Which stage was made from which", *drawn)


def _edge(column: float, above: int, below: int, style: str) -> Markup:
    start, end = ROW * above + 22, ROW * below + 22
    bend = column - 11.0 * min(4, below - above) if below - above > 1 else column
    path = f"M{column},{start} C{bend},{start + 14} {bend},{end - 14} {column},{end}"
    return element("path", d=path, class_=f"edge{style}")


def _node(column: float, index: int, name: str, detail: str, style: str) -> list[Markup]:
    y = ROW * index + 22
    return [
        element("circle", cx=column, cy=y, r=5, class_=f"node{style}"),
        text(column + 18, y - 1, name, class_="node-name"),
        text(column + 18, y + 14, detail, class_="node-detail"),
    ]
