"""The problems that policies are measured on: evaluation sources, and the evaluation split of procedural ones."""

import itertools

from alignment.data.rows import Problem
from alignment.data.sources import Procedural, load_source, source_problems
from alignment.data.splits import SPLITS, Split
from alignment.errors import DataError
from alignment.recipe.schema import Recipe


def held_out(recipe: Recipe, count: int, seed: int) -> list[Problem]:
    """`count` problems of each evaluation task, the same ones for the same seed, none of which training can meet.

    Raises DataError for a source that is not meant for evaluation.
    """
    chosen: list[Problem] = []
    for name in recipe.evaluations.after_each_stage:
        source = load_source(name)
        if not isinstance(source, Procedural) and source.use != "evaluation":
            raise DataError(
                f"source `{name}` is for training; evaluate on one whose declaration says `use: evaluation`"
            )
        override = recipe.data.sources.get(name)
        parameters = recipe.evaluations.parameters.get(name, {})
        splits: tuple[Split, ...] = ("evaluation",) if isinstance(source, Procedural) else SPLITS
        path = override.path if override else None
        found = source_problems(source, seed=seed, parameters=parameters, path=path, splits=splits)
        chosen += itertools.islice(found, count)
    return chosen
