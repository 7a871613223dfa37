"""`alignment report`: writes a run's report from what the run recorded."""

from pathlib import Path
from typing import TYPE_CHECKING

from alignment.commands.options import RunDirectory

if TYPE_CHECKING:
    from rich.console import Console


def report(run: RunDirectory) -> None:
    """Write the report of a run again. It makes report.json, report.md and report.html from what the run recorded."""
    from alignment.core.console import open_console
    from alignment.records.run_folder import RunFolder

    folder = RunFolder.open(run)
    write_and_print(folder.path, open_console())
    print(folder.path / "report.html")


def write_and_print(run: Path, console: "Console") -> None:
    """Write the report of the run in this directory and print its tables and alarms."""
    from alignment.report import write_report
    from alignment.report.render.terminal import alarm_lines, following_tables, stage_table

    document = write_report(run)
    console.print(stage_table(document, console.width), *following_tables(document, console.width), sep="\n")
    for line in alarm_lines(document):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
