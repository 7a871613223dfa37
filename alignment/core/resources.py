"""Finds the recipes and data that ship with the project: in a checkout, or inside the installed wheel."""

from pathlib import Path

EMBEDDED = "embedded"  # what a recipe calls the model that ships with the project
_INSTALLED = Path(__file__).parents[1] / "_resources"
_CHECKOUT = Path(__file__).parents[2]


def resource(name: str) -> Path:
    """The path of a shipped file or folder, named from the repository's root: `resource("data/base")`.

    The path is returned whether or not it exists.
    """
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / name


def shipped_model(name: str) -> Path | None:
    """The folder of the embedded model where it is meant; None for any other model, a folder or a hub id."""
    return resource("data/base") if name == EMBEDDED else None


def model_place(name: str) -> str:
    """Where a recipe's `model` is: the embedded model's folder, else the folder or hub id that it names."""
    return str(shipped_model(name) or name)
