"""Finds the recipes and data that ship with the project: in a checkout, or inside the installed wheel."""

from pathlib import Path

_INSTALLED = Path(__file__).parents[1] / "_resources"
_CHECKOUT = Path(__file__).parents[2]


def resource(name: str) -> Path:
    """The path of a shipped file or folder, named from the repository's root: `resource("data/base")`.

    The path is returned whether or not it exists.
    """
    return (_INSTALLED if _INSTALLED.is_dir() else _CHECKOUT) / name
