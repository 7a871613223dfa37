"""`alignment data`: shows what rows are read as. Neighbour: showing.py (the work)."""

from typing import Annotated

import typer


def data(
    file: Annotated[
        str, typer.Argument(help="A file or folder of rows, a source declared in YAML, or a hub id such as org/name.")
    ],
    model: Annotated[
        str | None, typer.Option(help="Count tokens and render with this model: a folder, a hub id or `embedded`.")
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Number of rows to print.")] = 5,
    split: Annotated[str | None, typer.Option(help="The split of a folder or hub set (default: train).")] = None,
    configuration: Annotated[str | None, typer.Option(help="The subset of a hub set.")] = None,
    revision: Annotated[str | None, typer.Option(help="The commit, tag or branch of a hub set.")] = None,
) -> None:
    """Show what a file is recognised as, how long its rows are, and which are left out and why."""
    from alignment.commands.data.showing import show_file
    from alignment.core.console import open_console
    from alignment.recipe.blocks.data import MixturePart

    part = MixturePart(source=file, split=split, configuration=configuration, revision=revision)
    show_file(file, model, rows, open_console(), part)
