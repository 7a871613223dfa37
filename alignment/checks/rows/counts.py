"""Checks that local tables have as many rows as the parts of a stage take, and problems enough for one step.

Counted are the rows that can be used, as stages count them. Public sets are not downloaded to check a recipe.
Neighbours: ../recipe.py (runs the checks), conversations.py (which rows cannot be used).
"""

from collections.abc import Iterator

from alignment.checks.rows.conversations import counts_its_own, part_faults
from alignment.core.errors import DataError
from alignment.data.parts import placed_parts
from alignment.data.rows import Problem
from alignment.data.sources.declared import Table
from alignment.data.sources.named import hash_split, source_of
from alignment.data.sources.rows import table_places
from alignment.data.sources.splits import split_of
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rollout_of


def row_counts(recipe: Recipe) -> Iterator[Issue]:
    """No `count` is above the rows of its local table, and a stage that samples has problems for one step."""
    for index, stage in enumerate(recipe.stages):
        found: list[int | None] = []
        for place, part in placed_parts(recipe, index):
            try:
                usable = None if counts_its_own(stage) else usable_rows(recipe, stage, part)
            except DataError:
                usable = None  # reported by the check of conversations
            found.append(usable if part.count is None or usable is None else min(usable, part.count))
            if usable is not None and part.count is not None and usable < part.count:
                source = source_of(part).id
                within = f" in split {part.split}" if part.split else ""
                message = f"found {part.count}, and `{source}` has {usable} rows that can be used{within}"
                yield Issue((*place, "count"), f"{message}; write {usable} or less, or remove `count`")
        yield from _enough_for_a_step(("stages", index), stage, found)


def usable_rows(recipe: Recipe, stage: StageFields, part: MixturePart) -> int | None:
    """The rows of a local table that a stage can use; None where that is not known without running it."""
    faults = part_faults(recipe, stage, part)
    if faults is None:
        return None
    source = source_of(part)
    split = hash_split(part, source)
    if split is None or not isinstance(source, Table):
        return faults.rows - len(faults.faulty)
    bare = (
        row.with_question(row.question.removesuffix(source.instruction))
        for _, row in table_places(source, recipe.data.path_of(part.source))
        if isinstance(row, Problem)
    )
    return sum(split_of(problem.text) == split for problem in bare)


def _enough_for_a_step(place: Place, stage: StageFields, found: list[int | None]) -> Iterator[Issue]:
    needed = getattr(rollout_of(stage), "problems_per_step", None)
    rows = [count for count in found if count is not None]
    if not kind_of(stage).trains or needed is None or not found or len(rows) < len(found) or sum(rows) >= needed:
        return
    yield Issue(
        (*place, "rollout", "problems_per_step"),
        f"found {needed}, and the data has {sum(rows)} problems that can be used; write {max(1, sum(rows))} or less, or add "
        "problems",
    )
