"""What cannot work about mode fusion: halves that nothing can fill, too few rows, and shares undone where they are trained.

Neighbours: check.py (runs this with the other checks, and says where a name is wrong), data_factory/fusion/mix.py (the rows).
"""

from collections.abc import Iterator
from math import inf

from alignment.checks.parts import placed_parts
from alignment.core.errors import DataError
from alignment.core.vocabulary import MODES, Mode
from alignment.data.mixture import load_parts
from alignment.data.modes import mode_words
from alignment.data.sources import Procedural, can_be_imitated, has_messages, load_source, source_names
from alignment.data_factory.fusion.mix import halves
from alignment.recipe.data import MixturePart
from alignment.recipe.explain import Issue, Place
from alignment.recipe.schema import FusionStage, Recipe, SampleStage, SftStage

HINTS: dict[Mode, str] = {
    "thinking": "`{stage: NAME}` of a sample stage that thinks",
    "non_thinking": "`{source: NAME, mode: non_thinking}`, or a source of chats",
}


def fusion(recipe: Recipe) -> Iterator[Issue]:
    """Both halves of a fusion stage can be filled, and an sft stage trains its rows as they were made."""
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, FusionStage):
            yield from _halves(recipe, index, stage)
        elif isinstance(stage, SftStage):
            for place, part in placed_parts(recipe, index):
                made = _stage(recipe, part.stage)
                if isinstance(made, FusionStage):
                    yield from _training(stage, made, ("stages", index), place, part)


def _stage(recipe: Recipe, name: str | None) -> object:
    return next((stage for stage in recipe.stages if stage.name == name), None)


def _halves(recipe: Recipe, index: int, stage: FusionStage) -> Iterator[Issue]:
    """Every part gives rows to imitate, each mode has a part that gives it, and there may be as many as are asked for."""
    placed = list(placed_parts(recipe, index))
    if not placed:
        return  # told by check.py
    most: dict[Mode, float] = dict.fromkeys(MODES, 0.0)
    for place, part in placed:
        if part.flag_fraction:
            told = "flags are put on by the stage; write `unflagged_fraction` and `switched_fraction` there, and leave this out"
            yield Issue((*place, "flag_fraction"), told)
        if part.mode == "thinking" and not _shows_thinking(part):
            told = f"`{part.source}` has no worked solutions, so its answers cannot show how to think; write mode: non_thinking"
            yield Issue((*place, "source"), told)
        for mode, count in _most(recipe, part).items():
            most[mode] += count
    place = ("stages", index)
    for mode in MODES:
        if not most[mode]:
            told = f"no part of it gives {mode_words(mode)} rows, so there would be nothing to switch between; add {HINTS[mode]}"
            yield Issue((*place, "data"), told)
    if stage.rows is not None and all(most.values()):
        yield from _too_few(stage, stage.rows, most, (*place, "rows"))


def _too_few(stage: FusionStage, rows: int, most: dict[Mode, float], place: Place) -> Iterator[Issue]:
    for mode, needed in halves(rows, stage.thinking_fraction).items():
        share = stage.thinking_fraction if mode == "thinking" else 1 - stage.thinking_fraction
        if needed > most[mode]:
            yield Issue(
                place,
                f"{rows} rows at thinking_fraction {stage.thinking_fraction:g} need {needed} "
                f"{mode_words(mode)} rows, and its data gives at most {most[mode]:.0f}; write at most "
                f"{int(most[mode] / share)}, or leave `rows` out to take what there is",
            )


def _shows_thinking(part: MixturePart) -> bool:
    """Whether a part that is to think can; a stage's rows, and a source's chats, say it themselves."""
    if part.source not in source_names():
        return True
    source = load_source(str(part.source))
    return isinstance(source, Procedural) or has_messages(source) or source.fields.trace is not None


def _most(recipe: Recipe, part: MixturePart) -> dict[Mode, float]:
    """The most rows of each mode that a part can give; infinite where only the data can tell."""
    if part.stage is not None:
        made = _stage(recipe, part.stage)
        if not isinstance(made, SampleStage):
            return dict.fromkeys(MODES, inf)  # told by check.py
        share, count = made.rollout.thinking_fraction, min(part.count or inf, _accepted_at_most(made))
        return {"thinking": count if share > 0 else 0.0, "non_thinking": count if share < 1 else 0.0}
    if part.source not in source_names() or has_messages(load_source(str(part.source))):
        return dict.fromkeys(MODES, float(part.count or inf))
    if not can_be_imitated(load_source(str(part.source))):
        return dict.fromkeys(MODES, inf)  # told by check.py
    return {mode: float(part.count or inf) if mode == part.mode else 0.0 for mode in MODES}


def _accepted_at_most(stage: SampleStage) -> float:
    try:
        problems = sum(part.count or inf for part in load_parts(stage.data))
    except DataError:
        return inf  # told by check.py
    return problems * min(stage.accepted_per_problem, stage.rollout.generations)


def _training(
    stage: SftStage, made: FusionStage, place: Place, part_place: Place, part: MixturePart
) -> Iterator[Issue]:
    """Settings of an sft stage that would undo what the fusion stage has made."""
    if part.flag_fraction:
        told = f"the rows of `{made.name}` have their flags already, and its shares would be lost; leave this out"
        yield Issue((*part_place, "flag_fraction"), told)
    if stage.max_length < made.max_length:
        yield Issue(
            (*place, "max_length"),
            f"found {stage.max_length}, and the rows of `{made.name}` have up to {made.max_length} tokens: those left out "
            f"here would change its shares; write max_length {stage.max_length} there too, or {made.max_length} here",
        )
    if stage.loss_on_history and made.multi_turn_fraction:
        yield Issue(
            (*place, "loss_on_history"),
            f"the template cuts the thinking of earlier turns, so those of `{made.name}` would teach to answer without it "
            "under /think; write false: each of its answers is the last of a row of its own",
        )
