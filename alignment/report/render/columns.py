"""Which figures of an evaluation stand in tables (page, report.md, terminal, `alignment evaluate`), and how they read.

A new figure needs one line here (docs/evaluation.md says what else). Neighbours: records/evaluation.py (the figures),
report/phrases.py (how numbers read).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from alignment.core.statistics.estimate import Estimate
from alignment.records.evaluation import EvaluationFigures
from alignment.report import phrases
from alignment.report.document import Report


@dataclass(frozen=True)
class Column:
    """One figure: its field, its heading, how it reads, and its heading in a terminal, which is narrow."""

    field: str
    heading: str
    form: Callable[[float | None], str]
    terminal: str = ""
    shown: Literal["always", "wide"] = "always"  # in which terminals
    if_measured: bool = False  # shown only if a stage has the figure

    def value(self, figures: EvaluationFigures) -> float | None:
        """The figure, or the value of an Estimate; None if it was not measured."""
        found = getattr(figures, self.field)
        return found.value if isinstance(found, Estimate) else found

    def text(self, figures: EvaluationFigures) -> str:
        """The figure as it reads in a table."""
        found = getattr(figures, self.field)
        interval = phrases.interval(found) if isinstance(found, Estimate) else ""
        return self.form(self.value(figures)) + (f" ({interval})" if interval else "")


COLUMNS = (
    Column("calls_right", "calls right %", phrases.percent, "calls right %", if_measured=True),
    Column("sycophancy", "repeats wrong claims %", phrases.percent, if_measured=True),
    Column("language_consistency", "question's language %", phrases.percent, if_measured=True),
    Column("confidence", "self-consistency %", phrases.percent, if_measured=True),
    Column("calibration_error", "calibration error %", phrases.percent, if_measured=True),
    Column("hallucination", "hallucinated %", phrases.percent, if_measured=True),
    Column("over_refusal", "over-refused %", phrases.percent, if_measured=True),
    Column("refused", "refused %", phrases.percent, if_measured=True),
    Column("rightly_refused", "harmful refused %", phrases.percent, if_measured=True),
    Column("wrongly_refused", "harmless refused %", phrases.percent, if_measured=True),
    Column("think_follow", "think-follow %", phrases.percent, "think-\nfollow %"),
    Column("mean_thinking_tokens", "thinking tokens", phrases.count, "thinking\ntokens"),
    Column("mean_answer_tokens", "answer tokens", phrases.count),
    Column("distinct_bigrams", "distinct bigrams %", phrases.percent, if_measured=True),
    Column("format", "format %", phrases.percent, "format %", "wide"),
    Column("truncated_fraction", "truncated %", phrases.percent),
    Column("finished_fraction", "finished by itself %", phrases.percent),
    Column("left_out_too_long", "prompt too long", phrases.count, "too long", if_measured=True),
)


def report_columns(report: Report) -> list[Column]:
    """The columns of a report's tables: all but those of figures that none of its stages has."""
    return measured_columns([figures for stage in report.stages for figures in stage.evaluations.values()])


def measured_columns(found: Sequence[EvaluationFigures]) -> list[Column]:
    """The columns of these figures, without optional ones that none of them has."""
    return [one for one in COLUMNS if not one.if_measured or any(one.value(each) is not None for each in found)]


def terminal_columns(report: Report, wide: bool) -> list[Column]:
    """The columns that a terminal has room for."""
    return [one for one in report_columns(report) if one.terminal and (wide or one.shown == "always")]
