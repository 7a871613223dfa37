"""Which figures of an evaluation stand in tables (page, report.md, terminal, `alignment evaluate`), and how they read.

A new figure needs one line here (docs/evaluation.md says what else). Neighbours: records/evaluation.py (the figures),
phrases.py (how numbers read).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from alignment.records.evaluation import EvaluationFigures
from alignment.report.render import phrases


@dataclass(frozen=True)
class Column:
    """One figure: its field, its heading, how it reads, and its heading in a terminal, which is narrow."""

    field: str
    heading: str
    form: Callable[[float | None], str]
    terminal: str = ""
    shown: Literal["always", "wide"] = "always"  # in which terminals

    def text(self, figures: EvaluationFigures) -> str:
        """The figure as it reads in a table."""
        return self.form(getattr(figures, self.field))


COLUMNS = (
    Column("think_follow", "think-follow %", phrases.percent, "think-\nfollow %"),
    Column("mean_thinking_tokens", "thinking tokens", phrases.count, "thinking\ntokens"),
    Column("mean_answer_tokens", "answer tokens", phrases.count),
    Column("format", "format %", phrases.percent, "format %", "wide"),
    Column("truncated_fraction", "truncated %", phrases.percent),
    Column("finished_fraction", "finished by itself %", phrases.percent),
)


def terminal_columns(wide: bool) -> list[Column]:
    """The columns that a terminal has room for."""
    return [one for one in COLUMNS if one.terminal and (wide or one.shown == "always")]
