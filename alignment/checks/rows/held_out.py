"""Checks of `held_out`: its rows can be read, are not trained on, and checkpoints fall on measurements.

Neighbours: ../recipe.py (runs the checks), parts.py and conversations.py (the same for rows to train on), data/held_out.py.
"""

from collections.abc import Iterator

from alignment.checks.rows.conversations import part_faults
from alignment.checks.rows.overlap import question_keys
from alignment.checks.rows.parts import part_issues
from alignment.core.errors import DataError
from alignment.data.held_out import MAX_FRACTION
from alignment.data.mixture import load_parts, refuse_faulty
from alignment.data.parts import held_out_parts, placed_parts
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage, held_out_of


def held_out_rows(recipe: Recipe) -> Iterator[Issue]:
    """Held-out data is there and sound, and no training row asks what it asks."""
    for index, stage in enumerate(recipe.stages):
        held = held_out_of(stage)
        if held is None:
            continue
        if isinstance(stage, TrainingStage) and held.keep == "best":
            yield from _checkpoints(index, stage, held.every_steps)
        if held.data is None:
            continue
        if "fraction" in held.model_fields_set:
            yield Issue(("stages", index, "held_out", "fraction"), "has no effect beside `data`; remove one of them")
        try:
            load_parts(held.data)
        except DataError as error:
            yield Issue(("stages", index, "held_out", "data"), str(error))
        trained = frozenset().union(*(question_keys(recipe, part) for _, part in placed_parts(recipe, index)))
        for place, part in held_out_parts(recipe, index):
            if part.stage is not None:
                yield Issue((*place, "stage"), "held-out rows are those of a source; name one, or write `fraction`")
                continue
            try:
                yield from part_issues(recipe, kind_of(stage), place, part)
                faults = part_faults(recipe, stage, part)
                if faults is not None:
                    refuse_faulty(str(part.source), faults.faulty, faults.rows, recipe.data.max_faulty_fraction)
            except DataError as error:
                yield Issue(place, str(error))
            keys = question_keys(recipe, part)
            if len(keys & trained) > MAX_FRACTION * len(keys):
                message = f"{len(keys & trained)} of its {len(keys)} questions are among the stage's training rows"
                yield Issue(place, f"{message}, so their loss would measure memory; remove them from either")


def _checkpoints(index: int, stage: TrainingStage, every_steps: int) -> Iterator[Issue]:
    """With `keep: best` a checkpoint is written at each measurement, so another interval would have no effect."""
    if "save_every_steps" in stage.model_fields_set and stage.save_every_steps != every_steps:
        yield Issue(
            ("stages", index, "save_every_steps"),
            f"has no effect: `held_out.keep: best` writes a checkpoint at every measurement, each {every_steps} steps; "
            "remove it, or write the same number in held_out.every_steps",
        )
