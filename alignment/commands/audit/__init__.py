"""`alignment audit`: verifiers against rows whose verdict is known. Neighbour: auditing.py (does it)."""

from pathlib import Path
from typing import Annotated

import typer


def audit(
    verifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[VERIFIER]...", help="Reward kinds; left out, all.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="JSON lines whose references are graded in place of the tables.")
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Where the reference is; left out, `answer`, `calls` or `solution`.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the verifier; may be repeated.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print what was found as JSON and nothing else.")] = False,
) -> None:
    """Hold every verifier against rows whose verdict is known. Or your own references against their grader."""
    from rich.console import Console

    from alignment.commands.audit import auditing

    console, kinds = Console(), verifiers or ([] if data is None else ["math_answer"])
    options = auditing.options(option or [], kinds)
    if data is not None:
        raise typer.Exit(auditing.audit_data(kinds, options, data, reference_column, console, as_json=json_))
    raise typer.Exit(auditing.audit_tables(kinds, options, console, as_json=json_))
