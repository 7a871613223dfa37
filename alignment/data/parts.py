"""The mixture parts of a stage with their places in the recipe, for the checks.

Neighbours: checks/recipe.py (reports data that cannot be read), mixture.py (rows of a part).
"""

from collections.abc import Iterator

from alignment.core.errors import DataError
from alignment.data.mixture import load_parts
from alignment.recipe.data import MixturePart
from alignment.recipe.issue import Place
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import held_out_of


def placed_parts(recipe: Recipe, index: int) -> Iterator[tuple[Place, MixturePart]]:
    """Each part of a stage with its place; parts of a mixture file have the place of its name. None if it cannot be read."""
    yield from _placed(recipe.stages[index].data, ("stages", index, "data"))


def held_out_parts(recipe: Recipe, index: int) -> Iterator[tuple[Place, MixturePart]]:
    """The parts of a stage's `held_out.data` with their places."""
    held = held_out_of(recipe.stages[index])
    if held is not None and held.data is not None:
        yield from _placed(held.data, ("stages", index, "held_out", "data"))


def _placed(data: str | list[MixturePart], place: Place) -> Iterator[tuple[Place, MixturePart]]:
    try:
        parts = load_parts(data)
    except DataError:
        return  # reported by checks/recipe.py
    for number, part in enumerate(parts):
        yield (place if isinstance(data, str) else (*place, number)), part
