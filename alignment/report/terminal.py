"""Document -> the table that is printed at the end of a run.

Neighbours: document.py (the only source), phrases.py (how numbers read); the command line prints what is returned.
"""

from typing import Any

from rich.table import Table
from rich.text import Text

from alignment.report import phrases
from alignment.report.record import MODES

COLOURS = {"gain": "green", "loss": "red", "no clear change": "dim"}


def stage_table(document: dict[str, Any]) -> Table:
    """One row per stage and mode: accuracy, interval, change, think-follow, thinking tokens, format, time."""
    table = Table(
        title=Text(str(document["recipe"])), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    table.add_column("stage")
    table.add_column("mode", style="dim")
    for heading in ("accuracy", "95% interval", "change", "think-follow", "thinking tokens", "format", "time"):
        table.add_column(heading, justify="right")
    for stage in document["stages"]:
        for row in _rows(stage):
            table.add_row(*row)
    return table


def _rows(stage: dict[str, Any]) -> list[list[Text]]:
    modes = [mode for mode in MODES if mode in stage["evaluations"]]
    time = Text(phrases.duration(stage["seconds"]))
    name = Text(stage["name"])
    if not modes:
        state = "not evaluated" if stage["outcome"] == "finished" else stage["outcome"]
        return [[name, Text(state, style="dim"), *[Text("")] * 6, time]]
    rows = []
    for index, mode in enumerate(modes):
        found = stage["evaluations"][mode]
        change = stage["changes"].get(mode)
        colour = COLOURS[change["verdict"]] if change else ""
        cells = [
            Text(phrases.percent(found["accuracy"])),
            Text(phrases.interval(found["accuracy_low"], found["accuracy_high"])),
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
