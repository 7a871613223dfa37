"""`alignment adapt`: a thinking budget for each prompt, from a sweep. Neighbour: fitting.py (does it)."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def adapt(
    sweep: Annotated[Path, typer.Argument(metavar="RUN_OR_SWEEP", help="What `alignment budget` has measured.")],
    accuracy: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Reach this with the least tokens.")] = None,
    tokens: Annotated[float | None, typer.Option(min=0.0, help="Mean tokens, probe included, to stay within.")] = None,
    stage: Annotated[str | None, typer.Option(help="A stage of the sweep; left out, its last.")] = None,
    task: Annotated[str | None, typer.Option(help="A task of the sweep, where it has several.")] = None,
    probe: Annotated[
        Literal["auto", "length", "agreement"], typer.Option(help="What tells hard prompts from easy ones.")
    ] = "auto",
    output: Annotated[Path | None, typer.Option(help="The file; left out, adaptive.json beside the sweep.")] = None,
) -> None:
    """Fit a thinking budget for each prompt. And say what it saves on held-out problems beside a fixed one."""
    from rich.console import Console

    from alignment.commands.adapt import fitting

    options = fitting.AdaptOptions(sweep, stage, task, accuracy, tokens, probe, output)
    fitting.fit_sweep(options, Console())
