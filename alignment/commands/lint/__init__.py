"""`alignment lint`: rows, template and tokenizer, looked at token by token. Neighbour: inspection.py (does it)."""

from pathlib import Path
from typing import Annotated

import typer

from alignment.commands.options import AsJson, Overrides


def lint(
    data: Annotated[str, typer.Argument(help="A recipe, a mixture by name, or a JSON-lines file of conversations.")],
    model: Annotated[
        str | None, typer.Option(help="A model folder, or `embedded`; left out, the recipe's model.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Look at this stage of the recipe alone.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows are looked at.")] = 64,
    show_: Annotated[int, typer.Option("--show", min=0, help="How many rows are printed token by token.")] = 3,
    html: Annotated[Path | None, typer.Option(help="Write every row and finding into this one HTML file.")] = None,
    json_: AsJson = False,
    set_: Overrides = None,
) -> None:
    """Show what carries loss, token by token. And name what is wrong with rows, template and tokenizer."""
    from rich.console import Console

    from alignment.commands.lint.inspection import Request, inspect_request

    request = Request(data, model, stage, rows, show_, html, json_, tuple(set_ or []))
    raise typer.Exit(inspect_request(request, Console()))
