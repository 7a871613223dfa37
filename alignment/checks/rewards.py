"""Checks of rewards: kinds, options, and whether they can judge a stage's rows. Neighbour: recipe.py (runs the checks)."""

import re
from collections.abc import Iterator, Mapping

import rewards
from alignment.core.errors import DataError
from alignment.data.mixture import load_parts
from alignment.data.sources.declared import row_columns, task_names
from alignment.data.sources.named import source_of
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rewards_of
from rewards.compose import is_of_task


def _located(place: Place, text: str) -> Issue:
    """An issue that rewards/ reports as `reward 2: ...`, placed at that reward, or at its option if one is named."""
    numbered = re.fullmatch(r"reward (\d+): (.*)", text, flags=re.DOTALL)
    if numbered is None:
        return Issue(place, text)
    option = re.search(r"has no option '(\w+)'|^(\w+) must be", numbered[2])
    key = (option[1] or option[2],) if option else ()
    return Issue((*place, int(numbered[1]) - 1, *key), numbered[2])


def reward_specs(recipe: Recipe) -> Iterator[Issue]:
    """Reward kinds and options exist, this machine can run them, and each applies to some rows."""
    for index, stage in enumerate(recipe.stages):
        place: Place = ("stages", index, "rewards")
        specs = [spec.spec() for spec in rewards_of(stage)]
        if not specs:
            continue
        for text in rewards.spec_faults(specs) or rewards.machine_faults(specs):
            yield _located(place, text)
        if kind_of(stage).takes == "problems":
            yield from _unjudged_sources(stage, place)


def _unjudged_sources(stage: StageFields, place: Place) -> Iterator[Issue]:
    """Sources whose rows no weighted reward can judge, and rewards that apply to no source."""
    try:
        parts = [part for part in load_parts(stage.data) if part.source is not None]
        has = {str(part.source): row_columns(source_of(part)) for part in parts}
    except DataError:
        return  # reported by the check of the data's names
    wanted = rewards_of(stage)
    read = [columns_read(spec) for spec in wanted]
    weighted = [columns for spec, columns in zip(wanted, read, strict=True) if spec.weight and columns is not None]
    for name in has:
        if weighted and not stage.scores_every_answer and not any(columns <= has[name] for columns in weighted):
            yield Issue(
                place,
                f"no reward with a weight can judge the rows of `{name}`, which have {', '.join(sorted(has[name]))}; "
                f"add one of: {', '.join(_judges_of(has[name]))}",
            )
    for index, missing in enumerate(read):
        if has and missing and not any(missing <= columns for columns in has.values()):
            yield Issue(
                (*place, index),
                f"needs {', '.join(sorted(missing))}, and no source of this stage has it; remove this reward, or add a source",
            )


def idle_tasks(recipe: Recipe) -> Iterator[Issue]:
    """Every reward and scorer that is for some tasks has rows of one of them."""
    for index, stage in enumerate(recipe.stages):
        blocks = {"rewards": rewards_of(stage), "scorers": getattr(stage, "scorers", [])}
        asked = [(name, at, one) for name, block in blocks.items() for at, one in enumerate(block) if one.tasks]
        names = _task_names(stage) if asked else None
        for name, at, one in asked if names is not None else []:
            if not any(is_of_task(task, one.tasks) for task in names or ()):
                yield Issue(
                    ("stages", index, name, at, "tasks"),
                    f"found {', '.join(one.tasks)}, and no row of this stage is of such a task; {nearest(one.tasks[0], names or ())}",
                )


def _task_names(stage: StageFields) -> list[str] | None:
    """The tasks of a stage's rows; None where they come from another stage, or the data cannot be read."""
    try:
        parts = load_parts(stage.data)
        if any(part.source is None for part in parts):
            return None
        return [name for part in parts for name in task_names(source_of(part))]
    except DataError:
        return None  # reported by the check of the data's names


def columns_read(spec: Reward) -> frozenset[str] | None:
    """The dataset's columns that a reward reads, under the names that its `columns` gives them.

    None for an unknown kind and for `columns` that is no mapping, which are reported where the reward's options are.
    """
    own, named = rewards.row_columns(spec.kind), (spec.model_extra or {}).get("columns") or {}
    if own is None or not isinstance(named, Mapping):
        return None
    return frozenset(str(named.get(column, column)) for column in own)


def _judges_of(columns: set[str]) -> list[str]:
    """The reward kinds that can judge rows with these columns."""
    read = {kind: rewards.row_columns(kind) for kind in rewards.VERIFIERS}
    return [kind for kind, needed in read.items() if needed is not None and needed <= columns]
