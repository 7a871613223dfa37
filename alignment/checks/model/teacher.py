"""Checks of `teacher` by files: it is there, leaves a policy or is a model folder, and has the student's vocabulary.

A hub model's files are compared when the stage starts (training/distillation/teacher.py). Neighbours: ../recipe.py
(runs the checks), folder.py (reads folders), recipe/blocks/teacher.py (compares vocabularies).
"""

from collections.abc import Iterator
from pathlib import Path

from alignment.checks.model.files import HUB_ID, LOCAL_LOOKS, folder_faults
from alignment.checks.model.folder import ModelFolder
from alignment.recipe.blocks.teacher import Teacher, other_tokens, teacher_of
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rollout_of
from alignment.records.adapter import is_adapter_alone


def teachers(recipe: Recipe) -> Iterator[Issue]:
    """Every teacher can be loaded and compared with the recipe's model, as far as files say."""
    for index, stage in enumerate(recipe.stages):
        found, place = teacher_of(stage), ("stages", index, "teacher")
        if found is None:
            continue
        if found.stage is not None:
            left = [other.name for other in recipe.stages[:index] if kind_of(other).leaves_policy]
            if found.stage not in left:
                message = f"found `{found.stage}`, which is no stage before this one that leaves a policy; {nearest(found.stage, left)}"
                yield Issue((*place, "stage"), message)
        else:
            yield from _model(recipe, index, found, place)


def _model(recipe: Recipe, index: int, found: Teacher, place: Place) -> Iterator[Issue]:
    folder = ModelFolder.of(str(found.model))
    if not folder.path.is_dir():
        if not HUB_ID.fullmatch(str(found.model)) or str(found.model).startswith(LOCAL_LOOKS):
            yield Issue((*place, "model"), f"there is no folder {found.model}; name a model folder or a hub id")
        return
    if found.revision is not None:
        yield Issue((*place, "revision"), f"{found.model} is a folder, which has no revisions; leave it out")
    if is_adapter_alone(folder.path):
        return  # compared when it is merged with its base
    faults = list(folder_faults(folder.path)) if found.server is None else []  # a server has the weights
    yield from (Issue((*place, "model"), fault) for fault in faults)
    if faults:
        return
    yield from _vocabulary(recipe, folder, (*place, "model"), every_row=found.server is None)
    limit, rollout = folder.positions, rollout_of(recipe.stages[index])
    longest = 0 if rollout is None else rollout.max_prompt_tokens + rollout.max_completion_tokens
    if limit is not None and longest > limit:
        message = (
            f"reads {limit} tokens, and the student's prompts and completions have up to {longest}; write shorter ones"
        )
        yield Issue((*place, "model"), message)


def _vocabulary(recipe: Recipe, teacher: ModelFolder, place: Place, *, every_row: bool) -> Iterator[Issue]:
    """The tokens of both, where the student's are those of a folder: added ones are compared when the stage starts.

    every_row: their embeddings have as many rows as well, also those that no token has.
    """
    student = ModelFolder.of(recipe.model)
    if recipe.add_tokens or recipe.chat_template or not student.vocabulary or not teacher.vocabulary:
        return
    sizes = tuple(one.text_config.get("vocab_size") for one in (student, teacher if every_row else student))
    if not all(isinstance(size, int) for size in sizes):
        return
    found = other_tokens(student.vocabulary, teacher.vocabulary, (int(sizes[0] or 0), int(sizes[1] or 0)))
    if found is not None:
        yield Issue(place, f"cannot teach {Path(recipe.model).name}: {found}")
