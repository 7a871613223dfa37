"""The valid part of a recipe that has schema errors, so that they do not hide the errors that checks find.

A key with an error is left out. Of its stage, and of stages that depend on it, only what does not depend on other keys
is said: about data, rewards and trainer. Neighbours: load.py (the schema errors), checks/recipe.py (checks this part).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from alignment.recipe.blocks.data import DataOverrides
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe, read_stage
from alignment.recipe.stage import StageFields

STAND_INS = {"name": "unnamed", "model": "not/known"}  # of a hub model nothing is checked
DECISIVE: dict[str, type[BaseModel]] = {"hardware": Hardware, "data": DataOverrides}  # stages are checked with them
BY_ITSELF = frozenset(("data", "held_out", "rewards", "trainer"))  # keys of a stage that are checked without the others


@dataclass(frozen=True)
class SoundPart:
    """A recipe of the stages that can be read, and their indices in the document."""

    recipe: Recipe
    stages: tuple[int, ...]  # index in the document of each stage of the recipe
    broken: frozenset[str]  # keys at the top of the document that are not read, or not whole
    said: Mapping[int, frozenset[str]] = field(
        default_factory=dict
    )  # of a stage that is not whole: keys that are checked

    def placed(self, issue: Issue) -> Issue | None:
        """An issue of this part with its place in the document; None if it is about a stand-in, or may follow from one."""
        if not issue.place or issue.place[0] in self.broken:
            return None
        if issue.place[0] != "stages" or len(issue.place) == 1:
            return issue
        index, inside = int(issue.place[1]), issue.place[2:]
        if index in self.said and (not inside or inside[0] not in self.said[index]):
            return None
        return Issue(("stages", self.stages[index], *inside), issue.message)


@dataclass(frozen=True)
class _ReadStage:
    """A stage as far as it can be read, and its keys that could not be."""

    fields: StageFields
    dropped: frozenset[str] = frozenset()


def sound_part(document: Mapping[str, Any]) -> SoundPart | None:
    """The part of a document with schema errors that can be checked; None if there is none."""
    stages = dict(_sound_stages(document.get("stages")))
    if not stages:
        return None
    base = {**STAND_INS, "stages": [stage.fields for stage in stages.values()]}
    read = {key: value for key, value in document.items() if key != "stages" and _is_valid({**base, key: value})}
    broken = frozenset({*document, *STAND_INS} - read.keys() - {"stages"})
    allowed = BY_ITSELF
    for key in broken & DECISIVE.keys():
        kept, dropped = _without_errors(document[key], DECISIVE[key].model_validate)
        if kept is None:
            return None
        read[key] = kept
        allowed = allowed - {"data", "held_out"} if "sources" in dropped else allowed
    not_whole = _not_whole(list(stages.values()), all_of_them=bool(broken & DECISIVE.keys()))
    said = {index: allowed - dropped for index, dropped in not_whole.items()}
    return SoundPart(Recipe.model_validate({**base, **read}), tuple(stages), broken, said)


def _not_whole(stages: list[_ReadStage], *, all_of_them: bool) -> dict[int, frozenset[str]]:
    """By its index, the lost keys of each stage that lost some or depends on one that did."""
    found: dict[int, frozenset[str]] = {}
    names = set[str]()
    for index, stage in enumerate(stages):
        if all_of_them or stage.dropped or _taken(stage.fields) & names:
            found[index] = stage.dropped
            names.add(stage.fields.name)
    return found


def _sound_stages(stages: Any) -> Iterator[tuple[int, _ReadStage]]:
    """Stages that can be read and depend on none that cannot, with their indices."""
    if not isinstance(stages, list):
        return
    read: dict[int, _ReadStage] = {}
    for number, stage in enumerate(stages):
        kept, dropped = _without_errors(stage, read_stage)
        if kept is not None:
            read[number] = _ReadStage(read_stage(kept), dropped)
    named = [stage.get("name") for stage in stages if isinstance(stage, dict)]
    lost = {name for name in named if isinstance(name, str)} - {stage.fields.name for stage in read.values()}
    all_named = len([name for name in named if isinstance(name, str)]) == len(stages)
    known = {stage.fields.name for stage in read.values()}
    for number, found in read.items():
        takes = _taken(found.fields)
        if takes & lost or (not all_named and takes - known):
            lost.add(found.fields.name)
            continue
        yield number, found


def _without_errors(block: Any, read: Callable[[Any], Any]) -> tuple[Any, frozenset[str]]:
    """(a block without its keys that have errors, those keys), or (None, nothing) if it cannot be read without them."""
    try:
        read(block)
    except ValidationError as error:
        if not isinstance(block, dict):
            return None, frozenset()
        dropped = frozenset(str(detail["loc"][0]) for detail in error.errors() if detail["loc"])
        kept = {key: value for key, value in block.items() if key not in dropped}
        if not dropped & block.keys() or not _reads(kept, read):
            return None, frozenset()
        return kept, dropped
    return block, frozenset()


def _reads(block: Any, read: Callable[[Any], Any]) -> bool:
    try:
        read(block)
    except ValidationError:
        return False
    return True


def _taken(stage: StageFields) -> set[str]:
    """Names of the stages that a stage starts from or takes rows of."""
    parts = [] if isinstance(stage.data, str) else [part.stage for part in stage.data]
    return {name for name in (stage.start_from, *parts, *stage.reads) if name is not None}


def _is_valid(values: dict[str, Any]) -> bool:
    return _reads(values, Recipe.model_validate)
