"""`alignment run`: runs a recipe, or resumes it, up to its report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alignment.commands.options import Overrides, RecipeFile, Redo

if TYPE_CHECKING:
    from rich.console import Console

    from alignment.run.machines.first import Machines
    from alignment.run.plan import RunPlan


def run(
    recipe: RecipeFile,
    stage: Annotated[str | None, typer.Option(help="Run only this stage.")] = None,
    redo: Redo = None,
    set_: Overrides = None,
    run_: Annotated[Path | None, typer.Option("--run", help="The run directory (default: runs/NAME).")] = None,
) -> None:
    """Run a recipe, or resume it. Finished stages are skipped; a report is written at the end."""
    from alignment.checks.recipe import checked
    from alignment.core.console import open_console
    from alignment.run.plan import RunPlan

    console = open_console()
    checked(recipe, set_ or [])
    plan = RunPlan.load(recipe, set_ or [], run_)
    set_aside(plan, redo or [], console)
    carry_out(plan, console, stage)


def set_aside(plan: "RunPlan", names: list[str], console: "Console") -> None:
    """Set aside stages that are to be run again, and those that were made from them. Raises as RunPlan.set_aside."""
    for name in names:
        for moved in plan.set_aside(name):
            console.print(f"set aside: {moved}", highlight=False)


def carry_out(
    plan: "RunPlan", console: "Console", stage: str | None = None, machines: "Machines | None" = None
) -> None:
    """Run the stages of a plan, or one, and write the report. machines: those that stages train on, where there are several."""
    from alignment.commands.report import write_and_print
    from alignment.run.runner import Runner

    Runner(plan, console, machines).go(stage)
    write_and_print(plan.run.path, console)
    console.print(f"report: {plan.run.path / 'report.html'}", highlight=False)
