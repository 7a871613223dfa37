"""`alignment adapt`: fits a thinking budget for each prompt. Neighbour: fitting.py (the work)."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def adapt(
    sweep: Annotated[Path, typer.Argument(metavar="RUN_OR_SWEEP", help="A run or folder with a budget sweep.")],
    accuracy: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Target accuracy, to reach with the fewest tokens.")
    ] = None,
    tokens: Annotated[float | None, typer.Option(min=0.0, help="Target mean number of tokens, probe included.")] = None,
    stage: Annotated[str | None, typer.Option(help="A stage of the sweep (default: its last).")] = None,
    task: Annotated[str | None, typer.Option(help="A task of the sweep; needed if it has several.")] = None,
    probe: Annotated[
        Literal["auto", "length", "agreement"], typer.Option(help="The estimate of a prompt's difficulty.")
    ] = "auto",
    output: Annotated[Path | None, typer.Option(help="The file (default: adaptive.json beside the sweep).")] = None,
) -> None:
    """Fit a thinking budget for each prompt. Also measures what it saves on held-out problems."""
    from alignment.commands.adapt import fitting
    from alignment.core.console import open_console

    options = fitting.AdaptOptions(sweep, stage, task, accuracy, tokens, probe, output)
    fitting.fit_sweep(options, open_console())
