"""The mixture parts of a stage with their places in the recipe, and what a check can read of them without a download.

Neighbours: checks/recipe.py (reports data that cannot be read), mixture.py (rows of a part).
"""

from collections.abc import Iterator
from pathlib import Path

from alignment.core.errors import DataError
from alignment.core.vocabulary import SPLITS
from alignment.data.mixture import load_parts
from alignment.data.rows import Problem
from alignment.data.sources.declared import Table, has_messages, has_pairs, local_path
from alignment.data.sources.named import hash_split, is_readable, source_of
from alignment.data.sources.rows import source_problems
from alignment.recipe.blocks.data import MixturePart
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


def local_table(recipe: Recipe, part: MixturePart) -> tuple[Table, Path] | None:
    """The table of a part and the local file that is read for it; None for any other part, and where the file is not there."""
    source = source_of(part) if is_readable(part) else None
    if not isinstance(source, Table):
        return None
    path = local_path(source, recipe.data.path_of(part.source))
    return None if path is None or not path.exists() else (source, path)


def problems_at_hand(recipe: Recipe, part: MixturePart) -> Iterator[Problem]:
    """The problems of a part that is a local file or procedural, by its seed; none for a part that holds or is another thing."""
    source = source_of(part) if is_readable(part) else None
    table = local_table(recipe, part)
    if source is None or (isinstance(source, Table) and table is None) or has_messages(source) or has_pairs(source):
        return
    wanted = hash_split(part, source)
    yield from source_problems(
        source,
        seed=part.seed,
        parameters=part.parameters,
        path=None if table is None else table[1],
        splits=SPLITS if wanted is None else (wanted,),
        left_out=[],
    )


def _placed(data: str | list[MixturePart], place: Place) -> Iterator[tuple[Place, MixturePart]]:
    try:
        parts = load_parts(data)
    except DataError:
        return  # reported by checks/recipe.py
    for number, part in enumerate(parts):
        yield (place if isinstance(data, str) else (*place, number)), part
