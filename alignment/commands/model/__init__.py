"""`alignment model inspect` and `alignment model convert`. Neighbours: inspection.py, advice.py, run/base_model.py."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def inspect(
    folder: Annotated[str, typer.Argument(help="A model folder, or `embedded`.")],
    json_: Annotated[bool, typer.Option("--json", help="Print what was found as JSON and nothing else.")] = False,
) -> None:
    """Say what a model has and lacks for thinking, and what to write in a recipe. Reads no weights and needs no torch."""
    from alignment.commands.model.inspection import inspected, printed

    print(printed(inspected(folder), as_json=json_))


@app.command()
def convert(
    name: Annotated[str, typer.Argument(help="The model to convert: smollm2-135m.")],
    output: Annotated[Path, typer.Option(help="Folder for the safetensors.")] = Path("models"),
) -> None:
    """Convert a packaged model to safetensors. Needed once, before a recipe that names its folder."""
    from alignment.run.base_model import convert as converted

    print(converted(name, output / name))
