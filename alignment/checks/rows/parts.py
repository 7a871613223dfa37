"""Checks of data: mixtures and sources exist, fit what the stage takes, and are not reserved for evaluation.

Neighbours: ../recipe.py (runs the checks), generators.py (parameters), splits.py, references.py and conversations.py
(rows).
"""

from collections.abc import Iterator
from typing import Any

from alignment.core.errors import DataError
from alignment.core.vocabulary import SPLITS
from alignment.data.mixture import load_parts, mixture_names
from alignment.data.parts import placed_parts
from alignment.data.sources.declared import (
    Procedural,
    Table,
    can_be_imitated,
    has_messages,
    has_pairs,
    local_path,
    source_names,
)
from alignment.data.sources.named import hash_split, is_own, is_readable, source_of
from alignment.data.steps.mixture import has_steps
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import StageKind, Takes, kind_of, kinds
from alignment.recipe.schema import Recipe

# What a stage takes that no source has: an earlier stage makes it.
_HOLDS = {"pairs of answers": has_pairs, "chats": has_messages, "steps with labels": has_steps}
MADE_BY_STAGES: dict[Takes, str] = {"pairs": "judged pairs", "steps": "steps with labels"}


def data_names(recipe: Recipe) -> Iterator[Issue]:
    """Mixtures and sources exist, fit the stage's kind, and are not reserved for evaluation."""
    for name in recipe.data.sources:
        if name not in source_names():
            yield Issue(("data", "sources", name), f"there is no such source; {nearest(name, source_names())}")
        elif not recipe.data.sources[name].path.exists():
            yield Issue(("data", "sources", name, "path"), f"{recipe.data.sources[name].path} is not a file")
    for index, stage in enumerate(recipe.stages):
        place: Place = ("stages", index, "data")
        if isinstance(stage.data, str) and stage.data not in mixture_names() and not is_own(stage.data):
            yield Issue(place, f"there is no mixture `{stage.data}`; {nearest(stage.data, mixture_names())}")
            continue
        if not isinstance(stage.data, str) and not stage.data:
            yield Issue(place, "is empty, so there is nothing to train on; name a mixture or write parts")
        try:
            load_parts(stage.data)
        except DataError as error:
            yield Issue(place, str(error))
        for part_place, part in placed_parts(recipe, index):
            try:
                yield from part_issues(recipe, kind_of(stage), part_place, part)
            except DataError as error:
                yield Issue(part_place, str(error))
        yield from _same_names(recipe, index)


def _same_names(recipe: Recipe, index: int) -> Iterator[Issue]:
    """Two files of one name in one stage: rows are known by their source's name, so one would hide the other's."""
    paths: dict[str, str] = {}
    for place, part in placed_parts(recipe, index):
        if is_readable(part):
            name = source_of(part).id
            if paths.setdefault(name, str(part.source)) != part.source:
                message = f"`{part.source}` and `{paths[name]}` are both called `{name}`; rename one of them"
                yield Issue((*place, "source"), message)


def gives_problems(recipe: Recipe, name: str) -> bool:
    """Whether the recipe has a stage of that name that leaves problems."""
    return any(stage.name == name and "problems" in kind_of(stage).gives for stage in recipe.stages)


def part_issues(recipe: Recipe, kind: StageKind[Any], place: Place, part: MixturePart) -> Iterator[Issue]:
    """What is wrong with a part of the data of a stage of that kind."""
    if part.stage is not None:
        if kind.takes == "problems" and not gives_problems(recipe, part.stage):
            message = f"a {kind.name} stage needs problems with answers, not conversations; name a source"
            yield Issue((*place, "stage"), message)
        return
    known = is_readable(part)
    if kind.takes in MADE_BY_STAGES and not (known and _in_a_file(kind.takes, source_of(part))):
        makers = " or ".join(other.name for other in kinds() if kind.takes in other.gives) or "earlier"
        message = f"a {kind.name} stage takes {MADE_BY_STAGES[kind.takes]}; write `stage: NAME` of a {makers} stage"
        yield Issue((*place, "source"), message)
    if not known and not is_own(str(part.source)):
        yield Issue(
            (*place, "source"), f"there is no source `{part.source}`; {nearest(str(part.source), source_names())}"
        )
        return
    source = source_of(part)
    yield from _split_issues(place, part, source)
    if isinstance(source, Table):
        yield from _table_issues(kind, place, part, source)
    if kind.takes == "rows" and not can_be_imitated(source):
        pairs = isinstance(source, Table) and has_pairs(source)
        instead = ": it holds pairs; use it in a dpo or reward_model stage, or write `fields: {prompt: prompt, completion: chosen}`"
        told = instead if pairs else "; use it in a grpo or sample stage"
        yield Issue((*place, "source"), f"`{part.source}` has no answers to train on{told}")
    if part.split == "evaluation" or (isinstance(source, Table) and source.use == "evaluation"):
        yield Issue(
            (*place, "split" if part.split == "evaluation" else "source"),
            f"`{part.source}` is reserved for evaluation and never trained on; choose another",
        )
    if isinstance(source, Procedural):
        if part.count is None:
            yield Issue(place, f"`{part.source}` generates an unlimited number of problems; write `count`")
        if part.split is None:
            yield Issue(
                place, f"`{part.source}` is procedural; write `split`, so that no stage sees another's problems"
            )
        return
    path = local_path(source, recipe.data.path_of(part.source))
    if path is None and source.hub is None:
        yield Issue((*place, "source"), f"has no hub id; write --set data.sources.{part.source}.path=FILE")
    if path is not None and not path.exists():
        yield Issue((*place, "source"), f"its file {path} is missing")


def _split_issues(place: Place, part: MixturePart, source: Procedural | Table) -> Iterator[Issue]:
    """A split that is none: own tables have those of their files, which `source_of` has looked up, and all have ours."""
    own = isinstance(source, Table) and is_own(str(part.source)) and part.split == source.part
    if part.split is not None and part.split not in SPLITS and not own:
        yield Issue((*place, "split"), f"found {part.split!r}; {nearest(part.split, SPLITS)}")


def _in_a_file(takes: Takes, source: Procedural | Table) -> bool:
    """Whether a source holds what is otherwise made by stages."""
    return has_pairs(source) if takes == "pairs" else has_steps(source)


def _table_issues(kind: StageKind[Any], place: Place, part: MixturePart, source: Table) -> Iterator[Issue]:
    """A table holds what the stage takes, and is split only where that has an effect."""
    holds = next((name for name, has in _HOLDS.items() if has(source)), None)
    if kind.takes == "problems" and holds is not None:
        message = f"`{part.source}` holds {holds}, and a {kind.name} stage needs problems with answers to check against"
        yield Issue((*place, "source"), message)
    if hash_split(part, source) is not None and holds is not None:
        yield Issue((*place, "split"), f"`{part.source}` holds {holds}, which are not split; remove `split`")
