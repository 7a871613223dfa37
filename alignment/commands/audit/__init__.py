"""`alignment audit`: runs verifiers on rows whose verdict is known. Neighbours: auditing.py, judging.py (the work)."""

from pathlib import Path
from typing import Annotated

import typer


def audit(
    verifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[VERIFIER]...", help="Reward kinds (default: all).")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A JSON-lines file whose references are judged, in place of the audit tables; for `judge`, known verdicts."
        ),
    ] = None,
    reference_column: Annotated[
        str | None, typer.Option(help="Column of the reference (default: `answer`, `calls` or `solution`).")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the verifier; may be repeated.")
    ] = None,
    least: Annotated[float, typer.Option(help="Of `judge --data`: the smallest agreement that passes.")] = 0.8,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON and nothing else.")] = False,
) -> None:
    """Run every verifier on rows whose verdict is known. Or judge your own references with their verifier."""
    from alignment.commands.audit import auditing
    from alignment.core.console import open_console

    console, kinds = open_console(), verifiers or ([] if data is None else ["math_answer"])
    options = auditing.options(option or [], kinds)
    if data is not None and kinds == ["judge"]:
        from alignment.commands.audit.judging import audit_judge

        raise typer.Exit(audit_judge(options, data, least, console, as_json=json_))
    if data is not None:
        raise typer.Exit(auditing.audit_data(kinds, options, data, reference_column, console, as_json=json_))
    raise typer.Exit(auditing.audit_tables(kinds, options, console, as_json=json_))
