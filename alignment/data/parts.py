"""The parts of a stage's data, each with its place in the recipe. The checks that go through them share this.

Neighbours: check.py (says it where the data itself is wrong), mixture.py (what a part is).
"""

from collections.abc import Iterator

from alignment.core.errors import DataError
from alignment.data.mixture import load_parts
from alignment.recipe.data import MixturePart
from alignment.recipe.issue import Place
from alignment.recipe.schema import Recipe


def placed_parts(recipe: Recipe, index: int) -> Iterator[tuple[Place, MixturePart]]:
    """The parts of a stage; those of a mixture file are placed at its name. None where the data cannot be read."""
    data = recipe.stages[index].data
    place: Place = ("stages", index, "data")
    try:
        parts = load_parts(data)
    except DataError:
        return  # told by check.py
    for number, part in enumerate(parts):
        yield (place if isinstance(data, str) else (*place, number)), part
