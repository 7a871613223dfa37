"""The report's pictures: accuracy and tokens by stage, budget curve, training curves, interval bars and lineage.

Each takes the report document, or the values of one series, and returns inline SVG, or None where there is nothing to
draw. Neighbours: svg.py (how things are drawn), html.py (where they stand on the page).
"""

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from alignment.report.figures.svg import Axis, Mark, Plot, Series, element, line, line_chart, picture, text, ticks
from alignment.report.record import MODES
from alignment.report.render import phrases

CURVE_POINTS = 160  # more are averaged in neighbouring groups; a pixel shows no more
ROW = 44.0  # height of one row of the lineage


def accuracy_by_stage(document: dict[str, Any]) -> Markup | None:
    """Both modes after every evaluated stage, with 95% intervals; a line that leads to a clear loss is drawn as one."""
    names, series = _by_stage(document, "accuracy")
    if not series:
        return None
    edges = [edge for one in series for mark in one.marks for edge in (mark.low, mark.high, mark.y) if edge is not None]
    plot = Plot("Held-out accuracy by stage", names, percent_ticks(edges))
    return line_chart(plot, series)


def tokens_by_stage(document: dict[str, Any]) -> Markup | None:
    """Mean thinking tokens after every evaluated stage: what the accuracy is paid with."""
    names, series = _by_stage(document, "mean_thinking_tokens")
    if not series:
        return None
    top = max(mark.y for one in series for mark in one.marks)
    marks = tuple((value, phrases.figure(value)) for value in ticks(0, top or 1))
    return line_chart(Plot("Mean thinking tokens by stage", names, marks), series)


def _by_stage(document: dict[str, Any], measure: str) -> tuple[tuple[tuple[float, str], ...], list[Series]]:
    evaluated = [stage for stage in document["stages"] if stage["evaluations"]]
    series = []
    for mode in MODES:
        marks = [
            _stage_mark(index, stage, mode, measure)
            for index, stage in enumerate(evaluated)
            if stage["evaluations"].get(mode, {}).get(measure) is not None
        ]
        if marks:
            last = phrases.percent(marks[-1].y) if measure == "accuracy" else phrases.figure(marks[-1].y)
            series.append(Series(mode, f"{phrases.MODE_NAMES[mode]} {last}", tuple(marks)))
    return tuple((float(index), stage["name"]) for index, stage in enumerate(evaluated)), series


def _stage_mark(index: int, stage: dict[str, Any], mode: str, measure: str) -> Mark:
    found = stage["evaluations"][mode]
    if measure != "accuracy":
        return Mark(index, found[measure], hint=f"{stage['name']}: {phrases.figure(found[measure])}")
    verdict = stage["changes"].get(mode, {}).get("verdict", "")
    hint = f"{stage['name']}: {phrases.percent(found['accuracy'])} ({_interval(found)})"
    return Mark(index, found["accuracy"], found["accuracy_low"], found["accuracy_high"], verdict, hint)


def budget_curve(document: dict[str, Any], against: str) -> Markup | None:
    """Accuracy over the thinking budget (`against="budget"`) or over the tokens really spent (`against="tokens"`)."""
    points = [point for point in document["budget"] if point["accuracy"] is not None]
    if against == "tokens":
        points = [point for point in points if point["mean_thinking_tokens"] is not None]
    if len(points) < 2:
        return None
    places = [_spent(point) for point in points] if against == "tokens" else budget_places(points)
    marks = tuple(
        Mark(place, point["accuracy"], point["accuracy_low"], point["accuracy_high"], hint=_budget_hint(point))
        for place, point in zip(places, points, strict=True)
    )
    plain = _evaluation_of(document, document["budget_stage"], "non_thinking")
    level = None
    if plain is not None:
        mark = Mark(0.0, plain["accuracy"], plain["accuracy_low"], plain["accuracy_high"])
        level = Series("non_thinking", f"non-thinking {phrases.percent(plain['accuracy'])}", (mark,))
    both = (*marks, *(level.marks if level else ()))
    edges = [edge for mark in both for edge in (mark.low, mark.high, mark.y) if edge is not None]
    if against == "tokens":
        x_ticks = tuple((value, phrases.figure(value)) for value in ticks(min(0.0, *places), max(places)))
        label = "mean tokens really spent, thinking and answer"
    else:
        x_ticks = tuple((place, _budget_name(point)) for place, point in zip(places, points, strict=True))
        label = "thinking budget in tokens, logarithmic"
    levels = (level,) if level else ()
    plot = Plot(f"Accuracy over {label}", x_ticks, percent_ticks(edges), label, levels)
    return line_chart(plot, [Series("thinking", f"thinking {phrases.percent(marks[-1].y)}", marks)])


def budget_places(points: Sequence[dict[str, Any]]) -> list[float]:
    """log2(1 + budget / the smallest positive budget); a sweep's open end stands one further."""
    unit = min((point["budget"] for point in points if point["budget"]), default=1.0)
    places = [math.log2(1 + point["budget"] / unit) for point in points if point["budget"] is not None]
    return places + [max(places, default=0.0) + 1] * (len(points) - len(places))


def _budget_name(point: dict[str, Any]) -> str:
    return "no limit" if point["budget"] is None else phrases.figure(point["budget"])


def _budget_hint(point: dict[str, Any]) -> str:
    return f"budget {_budget_name(point)}: {phrases.percent(point['accuracy'])} ({_interval(point)})"


def _spent(point: dict[str, Any]) -> float:
    return point["mean_thinking_tokens"] + (point["mean_answer_tokens"] or 0.0)


def _evaluation_of(document: dict[str, Any], stage: str | None, mode: str) -> dict[str, Any] | None:
    return next((one["evaluations"].get(mode) for one in document["stages"] if one["name"] == stage), None)


def _interval(found: dict[str, Any]) -> str:
    return phrases.interval(found["accuracy_low"], found["accuracy_high"]) or "no interval"


def percent_ticks(edges: Sequence[float]) -> tuple[tuple[float, str], ...]:
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


def interval_bar(found: dict[str, Any], mode: str) -> Markup:
    """An accuracy on a line from 0 to 100, with its interval: the table's small picture."""
    axis = Axis(0.0, 1.0, 3, 107)
    drawn = [line((3, 8, 107, 8), "rail")]
    low, high, accuracy = (found[key] for key in ("accuracy_low", "accuracy_high", "accuracy"))
    if low is not None and high is not None:
        drawn.append(line((axis.at(low), 8, axis.at(high), 8), f"reach {mode}"))
    drawn.append(element("circle", cx=axis.at(accuracy), cy=8, r=2.8, class_=f"dot {mode}"))
    return picture(110, 16, f"{phrases.percent(accuracy)}, interval {_interval(found)}", *drawn)


def lineage(document: dict[str, Any]) -> Markup:
    """What was made from what: the model on top, a line from each input to each stage, dashed where a hash differs."""
    stages = document["stages"]
    rows = {"model": 0} | {stage["name"]: index for index, stage in enumerate(stages, start=1)}
    edges = [
        (rows[name], rows[stage["name"]], stage, name) for stage in stages for name in stage["inputs"] if name in rows
    ]
    reach = max((below - above for above, below, _, _ in edges), default=1)
    column = 12.0 + 11.0 * min(4, reach)
    hashes = {stage["name"]: stage["output_hash"] for stage in stages}
    drawn = []
    for above, below, stage, name in edges:
        stale = hashes.get(name) not in (None, stage["inputs"][name])
        drawn.append(_edge(column, above, below, " stale" if stale else ""))
    base: str | None = next((stage["inputs"]["model"] for stage in stages if "model" in stage["inputs"]), None)
    drawn += _node(
        column, 0, document["model"].rstrip("/").rpartition("/")[2], f"model  {phrases.short_hash(base)}", ""
    )
    for index, stage in enumerate(stages, start=1):
        unfinished = "" if stage["outcome"] == "finished" else " open"
        state = phrases.short_hash(stage["output_hash"]) if not unfinished else stage["outcome"]
        drawn += _node(column, index, stage["name"], f"{stage['kind']}  {state}", unfinished)
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
