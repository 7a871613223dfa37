"""`alignment data`: shows what a file of rows is read as. Neighbour: showing.py (the work)."""

from pathlib import Path
from typing import Annotated

import typer


def data(
    file: Annotated[Path, typer.Argument(help="A file or folder of rows, or a source declared in YAML.")],
    model: Annotated[
        str | None, typer.Option(help="Count tokens and render with this model: a folder, a hub id or `embedded`.")
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Number of rows to print.")] = 5,
) -> None:
    """Show what a file is recognised as, how long its rows are, and which are left out and why."""
    from rich.console import Console

    from alignment.commands.data.showing import show_file

    show_file(file, model, rows, Console())
