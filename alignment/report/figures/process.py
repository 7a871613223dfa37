"""The pictures of a measured process reward model: its calibration, and accuracy over N by how one of N answers is chosen.

Neighbours: svg.py (how things are drawn), report/render/process.py (the tables), records/process.py (the figures).
"""

import math

from markupsafe import Markup

from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import wilson
from alignment.records.process import ProcessRecord
from alignment.report import phrases
from alignment.report.figures.stages import percent_ticks
from alignment.report.figures.svg import Mark, Plot, Series, line_chart

STYLES = {
    "product": "line-0", "minimum": "line-1", "last": "line-3", "outcome reward": "line-4", "weighted vote": "line-6",
    "majority": "line-2", "pass@N": "line-5 bound",
}  # fmt: skip
APART = 0.035  # of a doubling of N, between the intervals of two choices at the same N


def calibration_figure(record: ProcessRecord) -> Markup | None:
    """The fraction of right steps over the mean score of each tenth, with Wilson's interval; None under two tenths.

    The dotted line is that of scores that are probabilities.
    """
    if len(record.calibration) < 2:
        return None
    marks = []
    for one in record.calibration:
        low, high = wilson(one.right_fraction * one.steps, one.steps)
        hint = f"{one.steps} steps of mean score {one.mean_score:.2f}: {phrases.percent(one.right_fraction)}% right"
        marks.append(Mark(one.mean_score, one.right_fraction, low, high, hint=hint))
    even = Series("line-5 bound", "calibrated", (Mark(0.0, 0.0, hint="0"), Mark(1.0, 1.0, hint="1")))
    places = tuple((tenth / 5, f"{tenth / 5:g}") for tenth in range(6))
    plot = Plot(f"Calibration of {record.model}", places, percent_ticks([0.0, 1.0]), "mean score of the steps")
    return line_chart(plot, [even, Series("line-0", "right %", tuple(marks))])


def best_of_figure(record: ProcessRecord) -> Markup | None:
    """Accuracy with its interval over N, a line for each way to choose one of N answers; None under two N."""
    if len(record.best_of) < 2:
        return None
    lines = []
    for place, name in enumerate(record.best_of[0].choices):
        shift = APART * (place - len(STYLES) / 2)
        found = [(one.n, one.choices[name]) for one in record.best_of if name in one.choices]
        marks = tuple(_mark(n, one, name, shift) for n, one in found if one.value is not None)
        if marks:
            lines.append(Series(STYLES[name], f"{name} {phrases.percent(marks[-1].y)}", marks))
    edges = [edge for one in lines for mark in one.marks for edge in (mark.low, mark.high, mark.y) if edge is not None]
    x_ticks = tuple((math.log2(one.n), str(one.n)) for one in record.best_of)
    plot = Plot(f"Best of N by {record.model}", x_ticks, percent_ticks(edges), "answers to a problem", margin_right=172)
    return line_chart(plot, lines)


def _mark(n: int, found: Estimate, name: str, shift: float) -> Mark:
    hint = f"{name} of {n}: {phrases.percent(found.value)}% ({phrases.interval(found)})"
    return Mark(math.log2(n) + shift, found.value or 0.0, found.low, found.high, hint=hint)
