"""Report -> the table that is printed at the end of a run.

Neighbours: report/document.py (the only source), columns.py (which figures), report/phrases.py (how numbers read); the
command line prints what is returned.
"""

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from alignment.core.typed_json import Json
from alignment.core.vocabulary import MODES
from alignment.report import phrases
from alignment.report.document import Report, StageSection
from alignment.report.phrases import MISSING
from alignment.report.render.columns import Column, terminal_columns
from alignment.report.render.following import constrained_stages, follow_table, followed_stages, narrow_constraint_table

WIDE = 104  # columns that the whole table needs; a narrower terminal is shown less
COLOURS = {"gain": "green", "loss": "red", "no clear change": "dim"}


def stage_table(report: Report, width: int = WIDE) -> Table:
    """One row per stage and mode: accuracy, change, the figures of columns.py, and with room the time."""
    wide = width >= WIDE
    columns = terminal_columns(report, wide)
    table = Table(
        title=Text(report.recipe),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2 if wide else 1, 0, 0),
    )
    table.add_column("stage", no_wrap=True)
    table.add_column("mode", style="dim", no_wrap=True)
    for heading in ("accuracy (95%)", "change", *(one.terminal for one in columns), *(["time"] if wide else [])):
        table.add_column(heading, justify="right", vertical="bottom")
    for stage in report.stages:
        for row in _rows(stage, columns):
            table.add_row(*(row if wide else row[:-1]))
    return table


def following_tables(report: Report, width: int = WIDE) -> Iterator[Table]:
    """Flags over several turns, and where thinking helps after the last stage; each only where it was measured.

    A terminal that is narrow is shown the last stage alone; the report has them all.
    """
    followed, constrained = followed_stages(report), constrained_stages(report)
    if followed and width < WIDE:
        followed = dict(list(followed.items())[-1:])
    if followed:
        yield plain_table("Think-follow over several turns", *follow_table(followed))
    for stage, tasks in list(constrained.items())[-1:]:
        for task in tasks:
            title = f"Where thinking helps and where it hurts, {task.task} after {stage}"
            yield plain_table(title, *narrow_constraint_table(task))


def alarm_lines(report: Report) -> list[str]:
    """What the report's alarms say, one a line; empty where there is none."""
    return [f"{one.level}: {one.stage}: {one.message}" for one in report.alarms]


def plain_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows of text under a title; the first column to the left, the others to the right."""
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", vertical="bottom")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _made(counts: Mapping[str, Json]) -> str:
    """What a stage without a policy to measure has made: `812 rows` of a sample stage."""
    rows = counts.get("rows")
    return f"{phrases.count(rows)} rows" if isinstance(rows, int | float) else "not evaluated"


def _rows(stage: StageSection, columns: Sequence[Column]) -> list[list[Text]]:
    modes = [mode for mode in MODES if mode in stage.evaluations]
    time, name = Text(phrases.duration(stage.seconds)), Text(stage.name)
    if not modes:
        state = _made(stage.counts) if stage.outcome == "finished" else stage.outcome
        return [[name, Text(state, style="dim"), *[Text("")] * (2 + len(columns)), time]]
    if stage.outcome != "finished":
        name = Text(f"{stage.name} ({stage.outcome})")
    rows = []
    for index, mode in enumerate(modes):
        found, change = stage.evaluations[mode], stage.changes.get(mode)
        accuracy = f"{phrases.percent(found.accuracy.value)} ({phrases.interval(found.accuracy)})"
        known = found.accuracy.value is not None and phrases.interval(found.accuracy)
        cells = [
            Text(accuracy if known else MISSING),
            Text(phrases.change(change), style=COLOURS[change.tested.verdict] if change else ""),
            *(Text(one.text(found)) for one in columns),
        ]
        ends = (name, time) if index == 0 else (Text(""), Text(""))
        rows.append([ends[0], Text(phrases.MODE_NAMES[mode]), *cells, ends[1]])
    return rows
