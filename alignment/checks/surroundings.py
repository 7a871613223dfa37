"""Checks of what a recipe needs around it: trackers and the launcher config.

Neighbours: recipe.py (runs the checks), run/launcher.py (launcher configs).
"""

import importlib.util
from collections.abc import Iterator

from alignment.core.errors import RecipeError
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.schema import Recipe
from alignment.run.launcher import launcher_config

TRACKERS = ["tensorboard", "trackio", "wandb"]  # of those that TRL reports to


def trackers(recipe: Recipe) -> Iterator[Issue]:
    """Trackers are known and installed; a missing one would end the first stage after the model is loaded."""
    for index, name in enumerate(recipe.report_to):
        place: Place = ("report_to", index)
        if name not in TRACKERS:
            yield Issue(place, f"there is no tracker `{name}`; {nearest(name, TRACKERS)}")
        elif importlib.util.find_spec(name) is None:
            yield Issue(
                place, f"{name} is not installed; run `uv pip install {name}` in this environment, or remove it"
            )


def surroundings(recipe: Recipe) -> Iterator[Issue]:
    """The launcher config exists."""
    try:
        launcher_config(recipe.hardware)
    except RecipeError as error:
        yield Issue(("hardware", "accelerate"), str(error).split(": ", 1)[1])
