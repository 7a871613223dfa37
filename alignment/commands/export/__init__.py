"""`alignment export`: a run's policy as a folder that can be published. Neighbours: exporting.py (the work), export/."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.commands.options import OneStage, RunDirectory


def export(
    run: RunDirectory,
    stage: OneStage = None,
    into: Annotated[Path | None, typer.Option(help="Folder of the export (default: export/STAGE in the run).")] = None,
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option(help="Floating-point type of the safetensors; auto is the policy's."),
    ] = "auto",
    gguf: Annotated[
        Literal["auto", "f32", "f16", "bf16", "q8_0"] | None,
        typer.Option(help="Write a GGUF file too, with weights in this form; auto is the safetensors' own."),
    ] = None,
    gguf_splitting: Annotated[
        str | None,
        typer.Option(
            help="llama.cpp's name of the rule that splits text, where it has none that is the tokenizer's own."
        ),
    ] = None,
    quantise: Annotated[
        Literal["fp8", "gptq", "awq"] | None,  # FormName: its module would be imported for every --help
        typer.Option(
            help="Write a quantised folder beside it, by llm-compressor, and measure it against the original."
        ),
    ] = None,
    quantiser: Annotated[
        Path, typer.Option(help="With --quantise: the folder that llm-compressor is installed in.")
    ] = Path("quantiser"),
    calibration: Annotated[
        str | None, typer.Option(help="With gptq and awq: a source of text (default: the last sft stage's rows).")
    ] = None,
    licence: Annotated[
        str | None, typer.Option(help="Licence of the weights for the model card, as the hub names it: apache-2.0.")
    ] = None,
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="List what would go to this repository of the hub.")
    ] = None,
    upload: Annotated[bool, typer.Option("--upload", help="With --push: send it.")] = False,
    public: Annotated[bool, typer.Option("--public", help="With --push: make the repository public.")] = False,
) -> None:
    """Export a run's policy: safetensors, tokenizer, template, model card; on request GGUF, a quantised form, and the hub."""
    from alignment.commands.export.exporting import ExportOptions, exported

    exported(
        ExportOptions(
            run=run,
            stage=stage,
            into=into,
            dtype=dtype,
            gguf=gguf,
            splitting=gguf_splitting,
            quantise=quantise,
            quantiser=quantiser,
            calibration=calibration,
            licence=licence,
            push=push,
            upload=upload,
            private=not public,
        )
    )
