"""Stage kind fusion: build an SFT set that mixes both modes and adds /think and /no_think flags.

Its checks find modes without data, too few rows, and later stages whose settings would change the fractions.
Neighbours: data_factory/fusion/ (its fields, and the rows), training/stages/fusion.py (runs it).
"""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from alignment.core.vocabulary import MODES, Mode
from alignment.data.chat.modes import mode_words
from alignment.data.parts import placed_parts
from alignment.data.sources.declared import Procedural, can_be_imitated, has_messages
from alignment.data.sources.named import is_readable, source_of
from alignment.data_factory.fusion.mix import halves
from alignment.data_factory.fusion.stage import FusionStage
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.issue import Issue, Place
from alignment.recipe.kinds import Done, LintIntent, StageKind, kind_of
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

if TYPE_CHECKING:
    from alignment.training.context import StageContext

HINTS: dict[Mode, str] = {
    "thinking": "`{stage: NAME}` of a sample stage that thinks",
    "non_thinking": "`{source: NAME, mode: non_thinking}`, or a source of chats",
}


def run(context: "StageContext") -> Done:
    """Build the rows and write them to output/."""
    from alignment.training.stages import fusion

    return Done(0, fusion.run(context, context.folder.output))


def both_halves(recipe: Recipe, index: int, stage: FusionStage) -> Iterator[Issue]:
    """Each mode has a part with rows to train on, and `rows` is not more than the data can give."""
    placed = list(placed_parts(recipe, index))
    if not placed:
        return  # reported by the check of the data's names
    most: dict[Mode, float] = dict.fromkeys(MODES, 0.0)
    for place, part in placed:
        yield from _part(recipe, stage, place, part)
        for mode, count in _most(recipe, part).items():
            most[mode] += count
    for mode in MODES:
        if not most[mode]:
            message = f"no part of it gives {mode_words(mode)} rows, so no switch could be learned; add {HINTS[mode]}"
            yield Issue(("stages", index, "data"), message)
    if stage.rows is not None and all(most.values()):
        yield from _too_few(stage, stage.rows, most, ("stages", index, "rows"))


def _part(recipe: Recipe, stage: FusionStage, place: Place, part: MixturePart) -> Iterator[Issue]:
    if part.flag_fraction:
        message = "the fusion stage adds the flags itself; write `unflagged_fraction` and `switched_fraction` there, and remove this"
        yield Issue((*place, "flag_fraction"), message)
    if part.mode == "thinking" and not _shows_thinking(part):
        message = f"`{part.source}` has no worked solutions to put into think blocks; write mode: non_thinking"
        yield Issue((*place, "source"), message)
    made = _stage(recipe, part.stage)
    if isinstance(made, FusionStage) and made.name != stage.name:
        message = f"the rows of `{made.name}` already have flags; use the rows of the stage that sampled them"
        yield Issue((*place, "stage"), message)


def _too_few(stage: FusionStage, rows: int, most: dict[Mode, float], place: Place) -> Iterator[Issue]:
    for mode, needed in halves(rows, stage.thinking_fraction).items():
        fraction = stage.thinking_fraction if mode == "thinking" else 1 - stage.thinking_fraction
        if needed > most[mode]:
            yield Issue(
                place,
                f"{rows} rows at thinking_fraction {stage.thinking_fraction:g} need {needed} "
                f"{mode_words(mode)} rows, and its data gives at most {most[mode]:.0f}; write at most "
                f"{int(most[mode] / fraction)}, or remove `rows` to take as many as there are",
            )


def _shows_thinking(part: MixturePart) -> bool:
    """Whether a source has worked solutions; rows of a stage and chats have a mode of their own."""
    if not is_readable(part):
        return True
    source = source_of(part)
    return isinstance(source, Procedural) or has_messages(source) or source.fields.trace is not None


def _most(recipe: Recipe, part: MixturePart) -> dict[Mode, float]:
    """Upper bound for the rows of each mode that a part can give; infinite if only the data can tell."""
    if part.stage is not None:
        made = _stage(recipe, part.stage)
        most_rows = None if made is None else kind_of(made).most_rows
        if made is None or most_rows is None:
            return dict.fromkeys(MODES, inf)
        return {mode: min(part.count or inf, count) for mode, count in most_rows(made).items()}
    if not is_readable(part) or has_messages(source_of(part)):
        return dict.fromkeys(MODES, float(part.count or inf))
    if not can_be_imitated(source_of(part)):
        return dict.fromkeys(MODES, inf)  # reported by the check of the data's names
    return {mode: float(part.count or inf) if mode == part.mode else 0.0 for mode in MODES}


def _stage(recipe: Recipe, name: str | None) -> StageFields | None:
    return next((stage for stage in recipe.stages if stage.name == name), None)


def trained_as_made(recipe: Recipe, index: int, stage: FusionStage) -> Iterator[Issue]:
    """No stage that trains on the rows has settings that would change their fractions or flags."""
    for number, later in enumerate(recipe.stages):
        if later.kind == stage.kind:
            continue
        for place, part in placed_parts(recipe, number):
            if part.stage == stage.name:
                yield from _undoing(later, stage, number, place, part)


def _undoing(
    stage: StageFields, made: FusionStage, number: int, part_place: Place, part: MixturePart
) -> Iterator[Issue]:
    place, intent = ("stages", number), kind_of(stage).lint(stage)
    if part.flag_fraction:
        message = f"the rows of `{made.name}` already have flags, and more would change its fractions; remove this"
        yield Issue((*part_place, "flag_fraction"), message)
    if intent.max_length is not None and intent.max_length < made.max_length:
        yield Issue(
            (*place, "max_length"),
            f"found {intent.max_length}, and the rows of `{made.name}` have up to {made.max_length} tokens: those left out "
            f"here would change its fractions; write max_length {intent.max_length} there too, or {made.max_length} here",
        )
    if intent.loss_on_history and made.multi_turn_fraction:
        yield Issue(
            (*place, "loss_on_history"),
            f"the template strips the thinking of earlier turns, so loss on those of `{made.name}` would teach answers without it "
            "under /think; write false: each of its answers is the last of its own row",
        )


def _work(stage: FusionStage) -> str:
    count = f"{stage.rows} rows" if stage.rows else "as many rows as there are"
    return f"{count}, {stage.thinking_fraction:.0%} thinking, {stage.multi_turn_fraction:.0%} with earlier turns"


KIND = StageKind(
    name="fusion",
    fields=FusionStage,
    sentence="builds an SFT set that mixes both modes and adds flags ([fusion.md](fusion.md))",
    takes="rows",
    leaves="rows",
    files="`rows.jsonl`, `card.md`, `card.json`",
    trains=False,
    work=_work,
    run=run,
    gives=("rows",),
    lint=lambda stage: LintIntent(stage.max_length),
    checks=(both_halves, trained_as_made),
)
