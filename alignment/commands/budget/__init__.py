"""`alignment budget`: measures accuracy over thinking budgets.

Neighbours: options.py (from options to a plan), sweeping.py (the work).
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.commands.options import AsJson, Engine, LongestCompletion, ModelOrRun, Tasks


def budget(
    model: ModelOrRun,
    stage: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A stage of the run, or `all` (default: the last trained).")
    ] = None,
    tasks: Tasks = "",
    budgets: Annotated[
        str, typer.Option(help="Thinking budgets in tokens, such as 0,64,256 (default: the recipe's).")
    ] = "",
    samples: Annotated[int, typer.Option(help="Completions per problem; two or more also measure voting.")] = 4,
    modes: Annotated[Literal["both", "thinking", "non_thinking"], typer.Option(help="Modes to measure.")] = "both",
    count: Annotated[int | None, typer.Option(help="Problems per task (default: the recipe's, or 256).")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the problems (default: the recipe's).")] = None,
    engine: Engine = None,
    max_completion_tokens: LongestCompletion = None,
    stop_text: Annotated[
        str | None, typer.Option(help="Text that ends the thinking at the budget (default: the recipe's, or Qwen3's).")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results (default: budget/ in the run).")] = None,
    replace: Annotated[bool, typer.Option(help="Put the results in the place of the recipe's own sweep.")] = False,
    json_: AsJson = False,
) -> None:
    """Measure accuracy over thinking budgets. Points that are already measured are kept."""
    from alignment.commands.budget.options import SweepOptions
    from alignment.commands.budget.sweeping import sweep_budgets
    from alignment.report import write_report

    changes = (
        ("count", count), ("seed", seed), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
        ("stop_text", stop_text),
    )  # fmt: skip
    options = SweepOptions(model, tuple(stage or ()), tasks, budgets, modes, samples, changes, output, replace)
    sweep_budgets(options, as_json=json_)
    if options.belongs_to_run:
        write_report(model)
