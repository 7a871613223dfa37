"""Which rows of a stage are held out: by a hash of what they ask, so that a question is measured or trained on, never both.

A row stays on its side when others are added or the order changes; another seed of the recipe draws another set.
Neighbours: mixture.py (the rows), training/held_out.py (measures them), recipe/blocks/held_out.py (the fields).
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from alignment.core.errors import DataError
from alignment.data.rows import Conversation, Message, Preference
from alignment.data.tables.spool import Picked

MAX_FRACTION = 0.01  # of held-out questions that may be trained on by chance, such as a greeting

Row = TypeVar("Row", Conversation, Preference)


def held_out(rows: Sequence[Row], fraction: float, seed: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """(rows to train on, rows to measure) in their order; at least one of each.

    Raises DataError where all rows ask the same, so that none could be held out.
    """
    places = [_place(row, seed) for row in rows]
    limit = max(fraction, min(places, default=0.0))
    kept = [index for index, place in enumerate(places) if place > limit]
    if not kept:
        raise DataError(
            f"all {len(rows)} rows would be held out, since they begin with the same question or are too few; write a "
            "smaller `held_out.fraction`, or rows of their own in `held_out.data`"
        )
    return Picked(rows, kept), Picked(rows, (index for index, place in enumerate(places) if place <= limit))


def refuse_measured(stage: str, rows: Sequence[Row], measured: Sequence[Row]) -> Sequence[Row]:
    """The rows to train on. Raises DataError if more than a trace of the measured rows' questions are among them."""
    asked = {question_key(row) for row in measured}
    common = asked & {question_key(row) for row in rows}
    if len(common) > MAX_FRACTION * len(asked):
        raise DataError(
            f"stage {stage}: {len(common)} of the {len(asked)} questions of `held_out.data` are among the training rows, so "
            "their loss would measure memory; remove them from either, or write `held_out.fraction` alone"
        )
    return rows


def question_key(row: Conversation | Preference) -> str:
    """What a row asks first, without case and white space: rows with the same key are on the same side."""
    messages: list[Message] = row.prompt if isinstance(row, Preference) else row.messages
    first = next((turn.get("content") for turn in messages if turn.get("role") == "user"), "")
    return " ".join(str(first).split()).casefold()


def _place(row: Conversation | Preference, seed: int) -> float:
    """A number from 0 to 1 that a row's question and the seed give."""
    text = f"{seed}/{question_key(row)}".encode(errors="backslashreplace")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64
