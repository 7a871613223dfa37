"""Checks every row of the local files that stages read: rows that can be read, and have no lint fault that needs no tokenizer.

Public sets are not downloaded to check a recipe, and faults that need a tokenizer are looked for when an sft stage
starts. Neighbours: ../recipe.py (runs the checks), lint/rows.py (looks at the rows), ../plan.py (prints what is left
out).
"""

from collections.abc import Iterator

from alignment.core.errors import DataError
from alignment.data.mixture import refuse_faulty
from alignment.data.parts import local_table, placed_parts
from alignment.lint.findings import Intent
from alignment.lint.rows import TableFaults, table_faults
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields


def conversations(recipe: Recipe) -> Iterator[Issue]:
    """No local file has more rows that cannot be used than `data.max_faulty_fraction`."""
    for index, stage in enumerate(recipe.stages):
        if counts_its_own(stage):
            continue
        for found, part in placed_parts(recipe, index):
            place: Place = found if isinstance(stage.data, str) else (*found, "source")
            try:
                faults = part_faults(recipe, stage, part)
                if faults is not None:
                    refuse_faulty(str(part.source), faults.faulty, faults.rows, recipe.data.max_faulty_fraction)
            except DataError as error:
                yield Issue(place, str(error))


def counts_its_own(stage: StageFields) -> bool:
    """Whether a stage leaves out and counts faulty rows itself: one that trains nothing and only passes rows on."""
    kind = kind_of(stage)
    return kind.takes == "rows" and not kind.trains


def part_faults(recipe: Recipe, stage: StageFields, part: MixturePart) -> TableFaults | None:
    """What is wrong with the rows of a part that is a local file; None for any other part."""
    found = local_table(recipe, part)  # a source that is not there is reported by the check of the data's names
    return None if found is None else table_faults(*found, Intent.of(recipe, stage))
