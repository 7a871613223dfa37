"""`alignment budget`: accuracy over thinking budgets.

Neighbours: options.py (what is asked), sweeping.py (does it).
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from alignment.commands.options import AsJson, Engine, LongestCompletion, ModelOrRun, Tasks


def budget(
    model: ModelOrRun,
    stage: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A stage of the run, or `all`; left out, the last trained.")
    ] = None,
    tasks: Tasks = "",
    budgets: Annotated[str, typer.Option(help="Thinking tokens, as 0,64,256; left out, the recipe's.")] = "",
    samples: Annotated[int, typer.Option(help="Answers to each problem; two or more show what voting brings.")] = 4,
    modes: Annotated[Literal["both", "thinking", "non_thinking"], typer.Option(help="What is measured.")] = "both",
    count: Annotated[int | None, typer.Option(help="Problems per task; left out, the recipe's, or 256.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the problems; left out, the recipe's.")] = None,
    engine: Engine = None,
    max_completion_tokens: LongestCompletion = None,
    stop_text: Annotated[
        str | None, typer.Option(help="What ends the thinking at the budget; left out, the recipe's, or Qwen3's.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the results; left out, budget/ in the run.")] = None,
    json_: AsJson = False,
) -> None:
    """Measure accuracy over thinking budgets. What is measured already is not measured again."""
    from alignment.commands.budget.options import SweepOptions
    from alignment.commands.budget.sweeping import sweep_budgets
    from alignment.report import write_report

    changes = (
        ("count", count), ("seed", seed), ("engine", engine), ("max_completion_tokens", max_completion_tokens),
        ("stop_text", stop_text),
    )  # fmt: skip
    options = SweepOptions(model, tuple(stage or ()), tasks, budgets, modes, samples, changes, output)
    sweep_budgets(options, as_json=json_)
    if options.belongs_to_run:
        write_report(model)
