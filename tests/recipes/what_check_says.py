"""What `alignment check` says of a recipe, for tests of one check each."""

from pathlib import Path
from typing import Any

import yaml

from alignment.checks.recipe import checked
from alignment.core.errors import RecipeError


def what_check_says(path: Path, recipe: dict[str, Any]) -> str:
    """Write a recipe to a file and check it; empty where nothing is wrong."""
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    try:
        checked(path, [])
    except RecipeError as error:
        return str(error)
    return ""
