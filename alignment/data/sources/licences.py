"""The licence of each source of a stage's data, for data cards and model cards. Neighbour: declared.py (the declarations)."""

from collections.abc import Iterable
from pathlib import Path

from alignment.core.errors import DataError
from alignment.data.sources.declared import Table
from alignment.data.sources.named import is_file, source_of
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe

UNKNOWN = "licence not recorded: its rows cannot be read here"


def licences(recipe: Recipe, parts: Iterable[MixturePart]) -> dict[str, str]:
    """The licence of each source, and its revision; of a local file in its place nothing is known but its name."""
    return {source_name(part): _licence(recipe, part) for part in parts if part.source is not None}


def source_name(part: MixturePart) -> str:
    """A part's source as a card names it: an own file by its name, and not by where it lies on this machine."""
    name = str(part.source)
    return Path(name).name if is_file(name) else name


def _licence(recipe: Recipe, part: MixturePart) -> str:
    override = recipe.data.sources.get(str(part.source))
    if override is not None:
        return f"the local file {override.path.name} in its place; licence not recorded"
    try:
        source = source_of(part)
    except DataError:
        return UNKNOWN
    if isinstance(source, Table) and source.revision:
        return f"{source.licence}; revision {source.revision[:12]}"
    return source.licence
