"""The valid part of a recipe that has schema errors, so that they do not hide the errors that checks find.

An invalid stage is left out, with every stage that depends on it; issues of the rest get their places in the document.
Neighbours: load.py (the schema errors), checks/recipe.py (checks this part).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe, read_stage
from alignment.recipe.stage import StageFields

STAND_INS = {"name": "unnamed", "model": "not/known"}  # of a hub model nothing is checked
DECISIVE = {"hardware", "data"}  # what is said about stages depends on them


@dataclass(frozen=True)
class SoundPart:
    """A recipe of the valid stages, and their indices in the document."""

    recipe: Recipe
    stages: tuple[int, ...]  # index in the document of each stage of the recipe
    broken: frozenset[str]  # keys at the top of the document that are not read

    def placed(self, issue: Issue) -> Issue | None:
        """An issue of this part with its place in the document; None if it is about a stand-in."""
        if not issue.place or issue.place[0] in self.broken:
            return None
        if issue.place[0] != "stages" or len(issue.place) == 1:
            return issue
        return Issue(("stages", self.stages[int(issue.place[1])], *issue.place[2:]), issue.message)


def sound_part(document: Mapping[str, Any]) -> SoundPart | None:
    """The part of a document with schema errors that can be checked; None if there is none."""
    stages = dict(_sound_stages(document.get("stages")))
    if not stages:
        return None
    base = {**STAND_INS, "stages": list(stages.values())}
    read = {key: value for key, value in document.items() if key != "stages" and _is_valid({**base, key: value})}
    broken = frozenset({*document, *STAND_INS} - read.keys() - {"stages"})
    if broken & DECISIVE:
        return None
    return SoundPart(Recipe.model_validate({**base, **read}), tuple(stages), broken)


def _sound_stages(stages: Any) -> Iterator[tuple[int, StageFields]]:
    """Valid stages that depend on no invalid one, with their indices."""
    if not isinstance(stages, list):
        return
    read: dict[int, StageFields] = {}
    for number, stage in enumerate(stages):
        try:
            read[number] = read_stage(stage)
        except ValidationError:
            continue
    named = [stage.get("name") for stage in stages if isinstance(stage, dict)]
    lost = {name for name in named if isinstance(name, str)} - {stage.name for stage in read.values()}
    all_named = len([name for name in named if isinstance(name, str)]) == len(stages)
    known = {stage.name for stage in read.values()}
    for number, stage in read.items():
        takes = _taken(stage)
        if takes & lost or (not all_named and takes - known):
            lost.add(stage.name)
            continue
        yield number, stage


def _taken(stage: StageFields) -> set[str]:
    """Names of the stages that a stage starts from or takes rows of."""
    parts = [] if isinstance(stage.data, str) else [part.stage for part in stage.data]
    return {name for name in (stage.start_from, *parts) if name is not None}


def _is_valid(values: dict[str, Any]) -> bool:
    try:
        Recipe.model_validate(values)
    except ValidationError:
        return False
    return True
