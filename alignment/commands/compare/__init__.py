"""`alignment compare`: which of two policies answers better, by a judge.

Neighbours: options.py (from options to a plan), comparing.py (the work).
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.commands.options import AsJson, Engine, LongestCompletion, ModelOrRun, OneStage, Tasks


def compare(
    model: ModelOrRun,
    judge: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The judge: base URL of an OpenAI-compatible endpoint, such as http://127.0.0.1:8000/v1.",
        ),
    ],
    stage: OneStage = None,
    against: Annotated[
        str | None,
        typer.Option(help="A stage of the run, a model folder or another run (default: what the stage started from)."),
    ] = None,
    tasks: Tasks = "",
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="An option of the judge, such as model=NAME or max_tokens_total=N; may be repeated.",
        ),
    ] = None,
    modes: Annotated[Literal["both", "thinking", "non_thinking"], typer.Option(help="Modes to compare in.")] = "both",
    count: Annotated[int | None, typer.Option(help="Problems per task and mode (default: the recipe's).")] = None,
    samples: Annotated[int | None, typer.Option(help="Answers of each policy to a problem.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the problems (default: the recipe's).")] = None,
    engine: Engine = None,
    dtype: Annotated[str | None, typer.Option(help="The engine's floating-point type: float32 or bfloat16.")] = None,
    max_completion_tokens: LongestCompletion = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the results (default: comparisons/ in the run).")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Compare two policies' answers to the same prompts by a judge, in both orders. What was sampled or judged is kept."""
    from alignment.commands.compare.comparing import compare_policies
    from alignment.commands.compare.options import CompareOptions
    from alignment.commands.evaluate.options import EvaluateOptions
    from alignment.report import write_report

    changes = (
        ("count", count), ("samples", samples), ("seed", seed), ("engine", engine), ("dtype", dtype),
        ("max_completion_tokens", max_completion_tokens),
    )  # fmt: skip
    asked = EvaluateOptions(model, stage, tasks, (), changes)
    options = CompareOptions(asked, against, judge, tuple(option or ()), modes, output)
    compare_policies(options, as_json=json_)
    if options.belongs_to_run:
        write_report(model)
