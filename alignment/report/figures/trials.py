"""The picture of accuracy over the number of rows that a stage trained on.

Neighbours: svg.py (how things are drawn), sweep.py (accuracy over thinking budgets), report/render/trials.py (the
table).
"""

import math

from markupsafe import Markup

from alignment.records.trials import RowCurve
from alignment.report import phrases
from alignment.report.figures.stages import percent_ticks
from alignment.report.figures.svg import Mark, Plot, Series, line_chart


def row_figure(curve: RowCurve) -> Markup | None:
    """Accuracy with its interval over the rows, logarithmic; the fewest that will do are ringed. None under two points."""
    known = [(one, one.accuracy) for one in curve.points if one.accuracy.value is not None]
    if len(known) < 2:
        return None
    marks = tuple(
        Mark(
            math.log2(one.rows),
            found.value or 0.0,
            found.low,
            found.high,
            hint=f"{one.rows} rows: {phrases.percent(found.value)}% ({phrases.interval(found)})",
            ringed=one.rows == curve.chosen,
        )
        for one, found in known
    )
    edges = [edge for mark in marks for edge in (mark.low, mark.high, mark.y) if edge is not None]
    x_ticks = tuple((mark.x, phrases.figure(one.rows)) for mark, (one, _) in zip(marks, known, strict=True))
    title = f"Accuracy of {curve.stage} over the rows it trained on"
    line = Series("line-0", f"{curve.stage} {phrases.percent(known[-1][1].value)}", marks)
    return line_chart(Plot(title, x_ticks, percent_ticks(edges), "rows, logarithmic", margin_right=150), [line])
