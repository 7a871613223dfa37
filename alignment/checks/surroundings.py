"""Checks of what a recipe needs around it: trackers, the launcher config and the chat template.

Neighbours: recipe.py (runs the checks), run/launcher.py (launcher configs).
"""

import importlib.util
from collections.abc import Iterator

from alignment.core.errors import RecipeError
from alignment.core.resources import resource
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
    """The launcher config and the template exist."""
    try:
        launcher_config(recipe.hardware)
    except RecipeError as error:
        yield Issue(("hardware", "accelerate"), str(error).split(": ", 1)[1])
    if recipe.chat_template and not (resource("data/templates") / f"{recipe.chat_template}.jinja").is_file():
        known = sorted(path.stem for path in resource("data/templates").glob("*.jinja"))
        yield Issue(
            ("chat_template",), f"there is no template `{recipe.chat_template}`; {nearest(recipe.chat_template, known)}"
        )
