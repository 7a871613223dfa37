"""`alignment lint`: finds faults in rows, template and tokenizer. Neighbour: inspection.py (the work)."""

from pathlib import Path
from typing import Annotated

import typer

from alignment.commands.options import AsJson, Overrides


def lint(
    data: Annotated[
        str, typer.Argument(help="A recipe, a mixture by name, or a file of rows in any form that stages read.")
    ],
    model: Annotated[
        str | None, typer.Option(help="A model folder, a hub id, or `embedded` (default: the recipe's model).")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Inspect only this stage of the recipe.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="Number of rows to inspect.")] = 64,
    show_: Annotated[int, typer.Option("--show", min=0, help="Number of rows to print token by token.")] = 3,
    html: Annotated[Path | None, typer.Option(help="Write every row and finding to this HTML file.")] = None,
    json_: AsJson = False,
    set_: Overrides = None,
) -> None:
    """Show the loss mask token by token. Also lists the faults of rows, template and tokenizer."""
    from alignment.commands.lint.inspection import Request, inspect_request
    from alignment.core.console import open_console

    request = Request(data, model, stage, rows, show_, html, json_, tuple(set_ or []))
    raise typer.Exit(inspect_request(request, open_console()))
