"""How many rows of each part of a stage's data: of a smaller number in the same proportions, or by other fractions.

Neighbours: run/trials/trial.py (trains on them), mixture_search/ (the fractions).
"""

from collections.abc import Sequence

from alignment.core.errors import OptionError
from alignment.data.mixture import ArtifactPath, part_conversations
from alignment.data.sources.declared import Procedural
from alignment.data.sources.named import source_of
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe


def part_rows(recipe: Recipe, parts: Sequence[MixturePart], artifact: ArtifactPath) -> list[int]:
    """Rows of each part: its `count`, else all it has. Raises OptionError for an endless source without a count."""
    return [one.count or _all_rows(recipe, one, artifact) for one in parts]


def _all_rows(recipe: Recipe, part: MixturePart, artifact: ArtifactPath) -> int:
    if part.source is not None and isinstance(source_of(part), Procedural):
        raise OptionError(f"`{part.source}` draws rows without end; write the `count` of this part in the recipe")
    return sum(1 for _ in part_conversations(recipe, part, artifact))


def rows_there(recipe: Recipe, parts: Sequence[MixturePart], artifact: ArtifactPath) -> list[int | None]:
    """The most rows that each part can give, whatever its `count` says; None for a source without end."""
    free = [one.model_copy(update={"count": None}) for one in parts]
    endless = [one.source is not None and isinstance(source_of(one), Procedural) for one in free]
    return [None if none else _all_rows(recipe, one, artifact) for one, none in zip(free, endless, strict=True)]


def allotted(rows: int, weights: Sequence[float], at_most: Sequence[int | None]) -> list[int]:
    """`rows` divided in proportion to weights, by Webster's method, no part above its most.

    More rows never give a part fewer, so smaller sets are parts of larger ones. Raises OptionError if there are not so many.
    """
    given = [0] * len(weights)
    for _ in range(rows):
        free = [
            place for place, most in enumerate(at_most) if weights[place] > 0 and (most is None or given[place] < most)
        ]
        if not free:
            raise OptionError(f"found {rows:,} rows, and the data has {sum(given):,}; write fewer")
        given[max(free, key=lambda place: weights[place] / (2 * given[place] + 1))] += 1
    return given


def with_counts(parts: Sequence[MixturePart], counts: Sequence[int]) -> list[MixturePart]:
    """The parts with these counts; one without rows is left out."""
    return [part.model_copy(update={"count": count}) for part, count in zip(parts, counts, strict=True) if count]


def labels(parts: Sequence[MixturePart]) -> list[str]:
    """A name for each part: its source or stage, with its parameters' values where two would have one name, else a number."""
    names = [str(part.source or part.stage).rstrip("/").rpartition("/")[2] for part in parts]
    longer = [
        name if names.count(name) == 1 else f"{name} {_settings(part)}".strip()
        for name, part in zip(names, parts, strict=True)
    ]
    return [name if longer.count(name) == 1 else f"{name} #{place}" for place, name in enumerate(longer, 1)]


def _settings(part: MixturePart) -> str:
    shown = [f"{name} {value}" for name, value in sorted(part.parameters.items())]
    return ", ".join([*shown, *(["non_thinking"] if part.mode == "non_thinking" else [])])
