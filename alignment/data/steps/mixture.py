"""The labelled solutions of a mixture: those of step_labels stages, and of files with step labels.

Neighbours: mixture.py (the other rows), data/tables/step_forms.py (reads a row), data/sources/named.py (which file).
"""

import itertools
from collections.abc import Iterator

from alignment.core.errors import DataError
from alignment.data.mixture import ArtifactPath, refuse_faulty
from alignment.data.rows import Stepwise, read_rows
from alignment.data.sources.declared import Procedural, Table
from alignment.data.sources.named import source_of
from alignment.data.sources.rows import LeftOut, table_rows
from alignment.data.tables.step_forms import stepwise_row
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe


def has_steps(source: Procedural | Table) -> bool:
    """Whether a source holds solutions whose steps have labels."""
    return isinstance(source, Table) and source.fields.steps


def steps_of(
    recipe: Recipe, parts: list[MixturePart], artifact: ArtifactPath, left_out: list[LeftOut] | None = None
) -> list[Stepwise]:
    """The solutions of each part, in order. left_out: takes the rows that cannot be read.

    Raises DataError if they are more than `data.max_faulty_fraction` allows, or if a part has fewer than its `count`.
    """
    rows: list[Stepwise] = []
    for part in parts:
        bad: list[LeftOut] = []
        found = list(itertools.islice(_part(recipe, part, artifact, bad), part.count))
        refuse_faulty(str(part.source), bad, len(found) + len(bad), recipe.data.max_faulty_fraction)
        if part.count and len(found) < part.count:
            raise DataError(f"`{part.source or part.stage}` has {len(found)} solutions, fewer than count: {part.count}")
        rows += found
        if left_out is not None:
            left_out += bad
    return rows


def _part(recipe: Recipe, part: MixturePart, artifact: ArtifactPath, bad: list[LeftOut]) -> Iterator[Stepwise]:
    if part.stage is not None:
        rows = read_rows(artifact(part.stage) / "rows.jsonl", "stepwise")
        yield from (row for row in rows if isinstance(row, Stepwise))
        return
    source, override = source_of(part), recipe.data.sources.get(str(part.source))
    if not isinstance(source, Table) or not has_steps(source):
        raise DataError(
            f"`{part.source}` holds no steps with labels: write `stage: NAME` of a step_labels stage, or a file of them"
        )
    for line in table_rows(source, override.path if override else None):
        try:
            if line.fault:
                raise DataError(line.fault)
            yield stepwise_row(source.id, line)
        except DataError as error:
            bad.append(LeftOut(line.place, str(error)))
