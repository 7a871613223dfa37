"""Small inline SVG, made from text: elements with escaped content, a linear axis with round ticks, a line chart.

Colours and type come from the page's style sheet through class names, so a chart follows the light and dark theme.
Neighbours: stages.py and sweep.py say what is drawn; page.html.jinja holds the style sheet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from alignment.report.document import Number

LABEL_HEIGHT = 15.0  # the least distance in pixels between two direct labels


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        span = self.high - self.low
        fraction = (value - self.low) / span if span else 0.5
        return round(self.start + fraction * (self.end - self.start), 1)


@dataclass(frozen=True)
class Mark:
    """One measured point, with its interval if there is one. `verdict` colours the line to it; `ringed` marks it."""

    x: float
    y: float
    low: Number = None
    high: Number = None
    verdict: str = ""
    hint: str = ""
    ringed: bool = False


@dataclass(frozen=True)
class Series:
    """Marks joined by a line. `style` is a class of the style sheet; `label`, where there is one, stands at its end."""

    style: str
    label: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Plot:
    """What a line chart needs beside its series: a title to be read aloud, ticks as (value, label), level lines."""

    title: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str = ""
    levels: tuple[Series, ...] = ()  # each one mark, drawn as a dashed line across with its interval as a band
    width: int = 520
    height: int = 300
    margin_right: int = 132


def element(name: str, *content: str, **attributes: object) -> Markup:
    """An SVG element; values and content that is not Markup are escaped. `class_` becomes `class`, other `_` a `-`."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(  # noqa: S704  every part is escaped here
        f"<{name}{written}>{''.join(escape(part) for part in content)}</{name}>"
    )


def text(x: float, y: float, content: str, **attributes: object) -> Markup:
    """A <text> element at a position in pixels; the content is escaped."""
    return element("text", content, x=round(x, 1), y=round(y, 1), **attributes)


def line(ends: tuple[float, float, float, float], style: str) -> Markup:
    """A <line> element from (x1, y1) to (x2, y2) in pixels, with a class of the style sheet."""
    x1, y1, x2, y2 = ends
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)


def picture(width: float, height: float, title: str, *content: str) -> Markup:
    """The outer <svg>, which fills the width it is given."""
    return element("svg", *content, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=title)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values that cover `low` to `high`, about `wanted` of them."""
    span = high - low or abs(high) or 1.0
    rough = span / max(1, wanted - 1)
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 10) for index in range(first, last + 1)]


def line_chart(plot: Plot, series: Sequence[Series]) -> Markup:
    """Series with intervals over common axes, each named at its end instead of in a legend."""
    left, right = 38.0, plot.width - plot.margin_right
    top, bottom = 12.0, plot.height - (46.0 if plot.x_label else 30.0)
    values = [value for value, _ in plot.x_ticks] + [mark.x for one in series for mark in one.marks]
    x_axis = Axis(min(values), max(values), left + 18, right - 12)
    y_axis = Axis(plot.y_ticks[0][0], plot.y_ticks[-1][0], bottom, top)
    drawn: list[Markup] = []
    for value, label in plot.y_ticks:
        drawn.append(line((left, y_axis.at(value), right, y_axis.at(value)), "grid"))
        drawn.append(text(left - 8, y_axis.at(value) + 4, label, class_="tick", text_anchor="end"))
    for value, label in plot.x_ticks:
        drawn.append(text(x_axis.at(value), bottom + 19, label, class_="tick", text_anchor="middle"))
    if plot.x_label:
        drawn.append(text((left + right) / 2, plot.height - 6, plot.x_label, class_="axis", text_anchor="middle"))
    for level in plot.levels:
        drawn += _level(level, y_axis, left, right)
    drawn += [part for one in series for part in _series(one, x_axis, y_axis)]
    named = [one for one in (*series, *plot.levels) if one.marks and one.label]
    drawn += _labels([(one, y_axis.at(one.marks[-1].y)) for one in named], right + 4)
    return picture(plot.width, plot.height, plot.title, *drawn)


def _level(level: Series, y_axis: Axis, left: float, right: float) -> list[Markup]:
    mark = level.marks[0]
    parts = [line((left, y_axis.at(mark.y), right, y_axis.at(mark.y)), f"level {level.style}")]
    if mark.low is not None and mark.high is not None:
        top = y_axis.at(mark.high)
        height = round(y_axis.at(mark.low) - top, 1)
        band = element("rect", x=left, y=top, width=right - left, height=height, class_=f"band {level.style}")
        parts.insert(0, band)
    return parts


def _series(series: Series, x_axis: Axis, y_axis: Axis) -> list[Markup]:
    places = [(x_axis.at(mark.x), y_axis.at(mark.y)) for mark in series.marks]
    parts = []
    for (before, after), mark in zip(pairwise(places), series.marks[1:], strict=True):
        lost = " lost" if mark.verdict == "loss" else ""
        parts.append(line((*before, *after), f"path {series.style}{lost}"))
    for (x, y), mark in zip(places, series.marks, strict=True):
        if mark.low is not None and mark.high is not None:
            parts.append(line((x, y_axis.at(mark.low), x, y_axis.at(mark.high)), f"whisker {series.style}"))
        if mark.ringed:
            parts.append(element("circle", cx=x, cy=y, r=8, class_=f"ring {series.style}"))
        parts.append(element("circle", element("title", mark.hint), cx=x, cy=y, r=3.6, class_=f"dot {series.style}"))
    return parts


def _labels(ends: Sequence[tuple[Series, float]], x: float) -> list[Markup]:
    """Direct labels, from the top down, each pushed below the one above where they would overlap."""
    parts, free = [], -math.inf
    for series, y in sorted(ends, key=lambda end: end[1]):
        free = max(y, free + LABEL_HEIGHT)
        parts.append(text(x, free + 4, series.label, class_=f"name {series.style}"))
    return parts
