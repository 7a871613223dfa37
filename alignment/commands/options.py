"""Arguments and options of several commands, with their help text."""

from pathlib import Path
from typing import Annotated

import typer

RecipeFile = Annotated[Path, typer.Argument(help="The recipe's YAML file.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override path.by.name=value; may be repeated.")
]
RunDirectory = Annotated[Path, typer.Argument(help="A run directory.")]
ModelOrRun = Annotated[Path, typer.Argument(metavar="MODEL_OR_RUN", help="A run directory or a model folder.")]
OneStage = Annotated[str | None, typer.Option(help="A stage of the run (default: the last trained).")]
Tasks = Annotated[str, typer.Option(help="Tasks, separated by commas (default: the recipe's).")]
Engine = Annotated[str | None, typer.Option(help="Engine that samples, by name (default: the recipe's, or auto).")]
LongestCompletion = Annotated[
    int | None,
    typer.Option(help="Longest completion in tokens, thinking and answer together (default: the recipe's, or 2048)."),
]
AdaptiveFile = Annotated[
    Path | None, typer.Option(help="The file of `alignment adapt`: a thinking budget for each prompt.")
]
Tools = Annotated[
    str, typer.Option(help="Tools that the policy may call, separated by commas: calculator, python, store.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON and nothing else.")]
Redo = Annotated[
    list[str] | None,
    typer.Option(metavar="STAGE", help="Set aside this stage and all stages made from it, and run them again."),
]
