"""The rows that a stage trains on and those that it holds out: what cannot be used is counted, named and left out.

Neighbours: stages/ (which rows a kind reads), lint/rows.py (what is wrong with a row), data/held_out.py (which are held
out).
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from alignment.data.held_out import held_out, refuse_measured
from alignment.data.mixture import load_parts, pairs_of
from alignment.data.rows import Conversation, Preference
from alignment.data.sources.named import source_of
from alignment.data.sources.rows import LeftOut
from alignment.lint.rows import refuse_or_leave_out
from alignment.recipe.blocks.data import MixturePart
from alignment.training.context import StageContext

Row = TypeVar("Row", Conversation, Preference)
# From parts and a list that takes the rows which cannot be read: (rows, ids of those that a policy wrote, which are spared).
Read = Callable[[list[MixturePart], list[LeftOut]], tuple[Sequence[Row], frozenset[str]]]


def sound_rows(context: StageContext, read: Read[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """(rows to train on, held-out rows). Raises DataError if too many cannot be used, or if they ask the same."""
    stage = context.stage
    rows = _usable(context, load_parts(stage.data), read)
    if stage.held_out is None:
        return rows, []
    if stage.held_out.data is None:
        return held_out(rows, stage.held_out.fraction, context.recipe.seed)
    measured = _usable(context, load_parts(stage.held_out.data), read)
    return refuse_measured(stage.name, rows, measured), measured


def sound_pairs(context: StageContext) -> tuple[Sequence[Preference], Sequence[Preference]]:
    """(pairs to train on, held-out pairs), as `sound_rows`. Those that a stage judged are not linted: only tables are."""

    def read(parts: list[MixturePart], left_out: list[LeftOut]) -> tuple[Sequence[Preference], frozenset[str]]:
        pairs = pairs_of(context.recipe, parts, context.artifact, left_out)
        tables = {source_of(part).id for part in parts if part.source is not None}
        return pairs, frozenset(pair.id for pair in pairs if pair.family not in tables)

    return sound_rows(context, read)


def _usable(context: StageContext, parts: list[MixturePart], read: Read[Row]) -> Sequence[Row]:
    left_out: list[LeftOut] = []
    rows, spared = read(parts, left_out)
    kept: Sequence[Row]
    faulty: list[LeftOut]
    kept, faulty = refuse_or_leave_out(context.recipe, context.stage, rows, spared)
    context.leave_out([*left_out, *faulty])
    return kept
