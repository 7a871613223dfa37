"""`alignment merge`: one model of an adapter and its base. Neighbour: merging.py (the work)."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.commands.options import OneStage


def merge(
    adapter: Annotated[
        Path,
        typer.Argument(metavar="RUN_OR_ADAPTER", help="A run directory, or a folder with an adapter in PEFT's form."),
    ],
    into: Annotated[Path, typer.Option(help="Folder for the merged model; it must not exist.")],
    stage: OneStage = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(help="Floating-point type of the merged weights; auto is the base's."),
    ] = "auto",
) -> None:
    """Merge an adapter into its base: sums in float32, safetensors, and a proof that the logits are the adapter's."""
    from alignment.commands.merge.merging import merged

    merged(adapter, into, stage=stage, dtype=dtype)
