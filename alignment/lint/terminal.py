"""The linter's results in the terminal: a table of findings, then rows token by token, tokens with loss in colour.

Neighbours: display.py (how a token is shown), page.py (the same as HTML).
"""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from alignment.lint.display import grouped, heading, pieces, visible
from alignment.lint.findings import SEVERITIES, count_of
from alignment.lint.linter import Inspection
from alignment.lint.views import View

COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}
# Colours alternate, so that neighbouring tokens can be distinguished.
TRAINED = ("black on green", "black on bright_green")
UNTRAINED = ("", "dim")


def print_inspection(inspection: Inspection, console: Console, rows: int) -> None:
    """Print the findings and the first `rows` rows."""
    console.print(summary(inspection))
    if inspection.findings:
        console.print(_findings_table(inspection))
    for view in inspection.views[:rows]:
        console.print(_heading(view))
        console.print(_row(view))
    console.print()


def summary(inspection: Inspection) -> Text:
    """One line: `name: 64 rows, 5,120 tokens, 61% with loss; 1 error, no warnings, 2 notes`."""
    tokens, counts = inspection.tokens, []
    for severity in SEVERITIES:
        count = count_of(inspection.findings, severity)
        counts.append(f"{count or 'no'} {severity}{'s' * (count != 1)}")
    fraction = f", {inspection.trained_tokens / tokens:.0%} with loss" if tokens else ""
    rows = len(inspection.views)
    return Text(
        f"{visible(inspection.name)}: {rows} row{'s' * (rows != 1)}, {tokens:,} tokens{fraction}; {', '.join(counts)}",
        style="bold",
    )


def _findings_table(inspection: Inspection) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    for group in grouped(inspection):
        said = Text(visible(group.first.text))
        if group.first.advice:
            said.append(f"\n{visible(group.first.advice)}", style="italic")
        where = Text(f"{group.first.code}\n{group.where}")
        table.add_row(Text(group.severity, style=COLOURS[group.severity]), where, said)
    return table


def _heading(view: View) -> Text:
    return Text(f"\n{visible(heading(view))}", style="bold")


def _row(view: View) -> Text:
    line = Text()
    for piece in pieces(view):
        line.append(piece.text, style=(TRAINED if piece.trained else UNTRAINED)[piece.place % 2])
        if piece.ends_line:
            line.append("\n")
    return line
