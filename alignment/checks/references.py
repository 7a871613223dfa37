"""Checks that a sample of each local source's references passes the stage's own verifiers.

If a verifier rejects a correct reference, RL would punish correct answers. Public sets are not downloaded to check a recipe:
the stage that reads one calls `refuse_failing`. Procedural sources are correct by construction and have tests of their own.
Neighbours: recipe.py (runs the checks), rollout/references.py (judges references).
"""

import itertools
from collections.abc import Iterator
from typing import Any

from alignment.core.errors import DataError
from alignment.core.vocabulary import SPLITS
from alignment.data import rows
from alignment.data.parts import placed_parts
from alignment.data.sources import (
    Table,
    has_messages,
    has_pairs,
    hash_split,
    is_readable,
    local_path,
    source_of,
    source_problems,
)
from alignment.recipe.data import MixturePart
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rewards_of
from alignment.rollout.references import SAMPLED_ROWS, failing, graders_of
from rewards import IsolationUnavailable, WorkerUnavailable


def references(recipe: Recipe) -> Iterator[Issue]:
    """Sampled references of every local file of problems pass the verifiers of the stage that uses it."""
    seen = set[tuple[Any, ...]]()
    for index, stage in enumerate(recipe.stages):
        if kind_of(stage).takes != "problems":
            continue
        for found, part in placed_parts(recipe, index):
            place: Place = found if isinstance(stage.data, str) else (*found, "source")
            graders = graders_of(rewards_of(stage))
            key = (part.source, part.split, part.seed, str(graders))
            if key in seen:
                continue
            seen.add(key)
            try:
                sample = list(_sample(recipe, part))
                yield from (Issue(place, text) for text in failing(sample, graders, recipe.data.max_failing_fraction))
            except (DataError, WorkerUnavailable) as error:
                yield Issue(place, str(error))
            except IsolationUnavailable:
                continue  # reported at the reward itself


def _sample(recipe: Recipe, part: MixturePart) -> Iterator[rows.Problem]:
    """The first problems of a part that is a local file; none for any other part."""
    if not is_readable(part):
        return
    source, override = source_of(part), recipe.data.sources.get(str(part.source))
    path = local_path(source, override.path if override else None) if isinstance(source, Table) else None
    if path is None or not path.exists() or has_messages(source) or has_pairs(source):
        return
    wanted = hash_split(part, source)
    splits = SPLITS if wanted is None else (wanted,)
    found = source_problems(source, seed=part.seed, parameters={}, path=path, splits=splits, left_out=[])
    yield from itertools.islice(found, min(part.count or SAMPLED_ROWS, SAMPLED_ROWS))
