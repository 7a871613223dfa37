"""`alignment run`: a recipe to its report, from where it stands."""

from pathlib import Path
from typing import Annotated

import typer

from alignment.commands.options import Overrides, RecipeFile


def run(
    recipe: RecipeFile,
    stage: Annotated[str | None, typer.Option(help="Run this stage alone.")] = None,
    redo: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="Set this stage and all made from it aside, and make them anew."),
    ] = None,
    set_: Overrides = None,
    run_: Annotated[Path | None, typer.Option("--run", help="The run directory; left out, runs/NAME.")] = None,
) -> None:
    """Run a recipe to its report, or go on. What is finished is not done again."""
    from rich.console import Console

    from alignment.checks.recipe import checked
    from alignment.commands.report import write_and_print
    from alignment.run.plan import Pipeline
    from alignment.run.runner import Runner

    console = Console()
    checked(recipe, set_ or [])
    pipeline = Pipeline.load(recipe, set_ or [], run_)
    for name in redo or []:
        for moved in pipeline.set_aside(name):
            console.print(f"set aside: {moved}", highlight=False)
    Runner(pipeline, console).go(stage)
    write_and_print(pipeline.run.path, console)
    console.print(f"report: {pipeline.run.path / 'report.html'}", highlight=False)
