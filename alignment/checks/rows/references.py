"""Checks that a sample of each local source's references passes the stage's own verifiers.

If a verifier rejects a correct reference, RL would punish correct answers. Public sets are not downloaded to check a recipe:
the stage that reads one calls `refuse_failing`. Procedural sources are correct by construction and have tests of their own.
Neighbours: ../recipe.py (runs the checks), rollout/references.py (judges references).
"""

import itertools
from collections.abc import Iterator
from typing import Any

from alignment.core.errors import DataError
from alignment.data.parts import local_table, placed_parts, problems_at_hand
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
            if local_table(recipe, part) is None:
                continue
            place: Place = found if isinstance(stage.data, str) else (*found, "source")
            graders = graders_of(rewards_of(stage))
            key = (part.source, part.split, part.seed, str(graders))
            if key in seen:
                continue
            seen.add(key)
            try:
                wanted = min(part.count or SAMPLED_ROWS, SAMPLED_ROWS)
                sample = list(itertools.islice(problems_at_hand(recipe, part), wanted))
                yield from (Issue(place, text) for text in failing(sample, graders, recipe.data.max_failing_fraction))
            except (DataError, WorkerUnavailable) as error:
                yield Issue(place, str(error))
            except IsolationUnavailable:
                continue  # reported at the reward itself
