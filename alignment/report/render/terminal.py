"""Document -> the table that is printed at the end of a run.

Neighbours: document.py (the only source), phrases.py (how numbers read); the command line prints what is returned.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from alignment.report.record import MODES
from alignment.report.render import phrases
from alignment.report.render.following import constrained_stages, follow_table, followed_stages, narrow_constraint_table
from alignment.report.render.phrases import MISSING

WIDE = 104  # columns that the whole table needs; a narrower terminal is shown less
COLOURS = {"gain": "green", "loss": "red", "no clear change": "dim"}


def stage_table(document: dict[str, Any], width: int = WIDE) -> Table:
    """One row per stage and mode: accuracy, change, think-follow, thinking tokens, and with room format and time."""
    headings = ("accuracy (95%)", "change", "think-\nfollow", "thinking\ntokens", "format", "time")
    dropped = 0 if width >= WIDE else 2
    table = Table(
        title=Text(str(document["recipe"])),
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1 if dropped else 2, 0, 0),
    )
    table.add_column("stage", no_wrap=True)
    table.add_column("mode", style="dim", no_wrap=True)
    for heading in headings[: len(headings) - dropped]:
        table.add_column(heading, justify="right", vertical="bottom")
    for stage in document["stages"]:
        for row in _rows(stage):
            table.add_row(*row[: len(row) - dropped])
    return table


def following_tables(document: dict[str, Any], width: int = WIDE) -> Iterator[Table]:
    """Flags over several turns, and where thinking helps after the last stage; each only where it was measured.

    A terminal that is narrow is shown the last stage alone; the report has them all.
    """
    followed, constrained = followed_stages(document), constrained_stages(document)
    if followed and width < WIDE:
        followed = dict(list(followed.items())[-1:])
    if followed:
        yield plain_table("Think-follow over several turns", *follow_table(followed))
    for stage, tasks in list(constrained.items())[-1:]:
        for task in tasks:
            title = f"Where thinking helps and where it hurts, {task['task']} after {stage}"
            yield plain_table(title, *narrow_constraint_table(task))


def plain_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Rows of text under a title; the first column to the left, the others to the right."""
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", vertical="bottom")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _made(counts: dict[str, Any]) -> str:
    """What a stage without a policy to measure has made: `812 rows` of a sample stage."""
    return f"{phrases.count(counts['rows'])} rows" if "rows" in counts else "not evaluated"


def _rows(stage: dict[str, Any]) -> list[list[Text]]:
    modes = [mode for mode in MODES if mode in stage["evaluations"]]
    time = Text(phrases.duration(stage["seconds"]))
    name = Text(stage["name"])
    if not modes:
        state = _made(stage["counts"]) if stage["outcome"] == "finished" else stage["outcome"]
        return [[name, Text(state, style="dim"), *[Text("")] * 5, time]]
    rows = []
    for index, mode in enumerate(modes):
        found = stage["evaluations"][mode]
        change = stage["changes"].get(mode)
        interval = phrases.interval(found["accuracy_low"], found["accuracy_high"])
        colour = COLOURS[change["verdict"]] if change else ""
        cells = [
            Text(f"{phrases.percent(found['accuracy'])} ({interval})" if interval else MISSING),
            Text(phrases.change(change), style=colour),
            Text(phrases.percent(found["think_follow"])),
            Text(phrases.count(found["mean_thinking_tokens"])),
            Text(phrases.percent(found["format"])),
        ]
        last = index == len(modes) - 1
        ends = (name, time) if index == 0 else (Text(""), Text(""))
        rows.append([ends[0], Text(phrases.MODE_NAMES[mode]), *cells, ends[1]])
        if last and stage["outcome"] != "finished":
            rows[0][0] = Text(f"{stage['name']} ({stage['outcome']})")
    return rows
