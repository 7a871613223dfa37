"""The commands that make something: check, lint, run, show, report."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alignment.cli.options import AsJson, Overrides, RecipeFile, RunDirectory

if TYPE_CHECKING:
    from rich.console import Console


def check(recipe: RecipeFile, set_: Overrides = None) -> None:
    """Find what cannot work; print the plan. Nothing is started, and no GPU is needed."""
    from rich.console import Console

    from alignment.checks.plan import print_plan
    from alignment.checks.recipe import checked

    print_plan(checked(recipe, set_ or []), Console())


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

    from alignment.commands import lint as lint_command

    request = lint_command.Request(data, model, stage, rows, show_, html, json_, tuple(set_ or []))
    raise typer.Exit(lint_command.lint(request, Console()))


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
    from alignment.run.plan import Pipeline
    from alignment.run.runner import Runner

    console = Console()
    checked(recipe, set_ or [])
    pipeline = Pipeline.load(recipe, set_ or [], run_)
    for name in redo or []:
        for moved in pipeline.set_aside(name):
            console.print(f"set aside: {moved}", highlight=False)
    Runner(pipeline, console).go(stage)
    _report(pipeline.run.path, console)
    console.print(f"report: {pipeline.run.path / 'report.html'}", highlight=False)


def show(run: RunDirectory) -> None:
    """Print a run's lineage. Each stage, what it was made from, and whether its files are whole."""
    from rich.console import Console

    from alignment.records.run_folder import RunFolder
    from alignment.report.lineage import lineage_tree

    Console().print(lineage_tree(RunFolder.open(run)))


def report(run: RunDirectory) -> None:
    """Write the report of a run again. report.json, report.md and report.html, from what the run has recorded."""
    from rich.console import Console

    from alignment.records.run_folder import RunFolder

    folder = RunFolder.open(run)
    _report(folder.path, Console())
    print(folder.path / "report.html")


def _report(run: Path, console: "Console") -> None:
    """Write a run's report and print its tables."""
    from alignment.report import write_report
    from alignment.report.render.terminal import following_tables, stage_table

    document = write_report(run)
    console.print(stage_table(document, console.width), *following_tables(document, console.width), sep="\n")
