"""The data card of a fusion stage, counted from the finished rows and not from the plan.

It is the same for the same rows: it holds no time, machine or path. Neighbours: mix.py (builds the rows), card_page.py
(the card as Markdown), report/ (shows the same numbers).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from alignment.core.vocabulary import MODES
from alignment.data.chat.modes import deciding_flag, query_turns
from alignment.data.mixture import load_parts
from alignment.data.rows import Conversation
from alignment.data.sources.licences import licences
from alignment.data_factory.fusion.mix import Fused
from alignment.data_factory.fusion.pool import Pool
from alignment.data_factory.fusion.stage import FusionStage
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe
from alignment.records.card import CardFigures, CardFraction, CardPart, CardSample, CardTokens, DataCard, FlagPlace

LONGEST_SAMPLE = 2000  # characters
PLACES: tuple[FlagPlace, ...] = get_args(FlagPlace)  # where the flag stands that sets the mode
WORDS = {
    "thinking_fraction": "rows that think",
    "unflagged_fraction": "thinking rows without a flag",
    "switched_fraction": "non-thinking rows without a flag",
    "system_flag_fraction": "flagged rows decided in the system turn",
    "multi_turn_fraction": "rows with earlier turns",
}


@dataclass(frozen=True)
class Measured:
    """A finished row as it is trained on: rendered text, number of tokens, and how many of them carry loss."""

    fused: Fused
    text: str
    tokens: int
    trained_tokens: int


def place_of_flag(row: Conversation) -> FlagPlace:
    """Where the flag stands that sets a row's mode: none, system, user (the last question) or earlier."""
    found = deciding_flag(row.messages)
    if found is None:
        return "none"
    if row.messages[found[0]]["role"] == "system":
        return "system"
    return "user" if found[0] == query_turns(row.messages)[-1] else "earlier"


def flags_change(row: Conversation) -> bool:
    """Whether a row holds flags for both modes."""
    asked = [deciding_flag([message]) for message in row.messages]
    return len({flag[1] for flag in asked if flag is not None}) > 1


def make_card(recipe: Recipe, stage: FusionStage, pool: Pool, rows: Sequence[Measured]) -> DataCard:
    """The contents of card.json."""
    chats = [one.fused.row for one in rows]
    places = {mode: Counter(place_of_flag(row) for row in chats if row.mode == mode) for mode in MODES}
    turns = Counter(len(query_turns(row.messages)) for row in chats)
    used = Counter(one.fused.part for one in rows)
    lengths = sorted(one.tokens for one in rows)
    taken = {mode: sum(row.mode == mode for row in chats) for mode in MODES}
    figures = CardFigures(
        rows=len(rows),
        modes=taken,
        flags={mode: {place: places[mode][place] for place in PLACES} for mode in MODES},
        turns={str(count): turns[count] for count in sorted(turns)},
        flag_changes=sum(map(flags_change, chats)),
        fractions=dict(_fractions(stage, chats)),
        not_needed={mode: len(pool.examples[mode]) - taken[mode] for mode in MODES},
        tokens=CardTokens(
            all=sum(lengths),
            with_loss=sum(one.trained_tokens for one in rows),
            median_row=lengths[len(lengths) // 2],
            longest_row=lengths[-1],
            limit=stage.max_length,
        ),
        data=tuple(
            _origin(recipe, part, number, pool, used[number]) for number, part in enumerate(load_parts(stage.data))
        ),
    )
    return DataCard(figures, stage.name, recipe.name, recipe.seed, tuple(_samples(rows)))


def _fractions(stage: FusionStage, rows: Sequence[Conversation]) -> Iterator[tuple[str, CardFraction]]:
    """Each fraction of the recipe, what was asked and what the rows have, with the two counts."""
    flagged = [row for row in rows if place_of_flag(row) != "none"]
    system = [row for row in flagged if place_of_flag(row) == "system"]
    multi = [row for row in rows if len(query_turns(row.messages)) > 1]
    by_mode = {mode: [row for row in rows if row.mode == mode] for mode in MODES}
    bare = {mode: [row for row in by_mode[mode] if place_of_flag(row) == "none"] for mode in MODES}
    counted = {
        "thinking_fraction": (by_mode["thinking"], rows),
        "unflagged_fraction": (bare["thinking"], by_mode["thinking"]),
        "switched_fraction": (bare["non_thinking"], by_mode["non_thinking"]),
        "system_flag_fraction": (system, flagged),
        "multi_turn_fraction": (multi, rows),
    }
    for name, (part, whole) in counted.items():
        found = round(len(part) / len(whole), 4) if whole else None
        yield name, CardFraction(WORDS[name], getattr(stage, name), found, len(part), len(whole))


def _origin(recipe: Recipe, part: MixturePart, number: int, pool: Pool, used: int) -> CardPart:
    """One part of the data: its source and licences, and how many rows were read, used and left out."""
    left_out = {reason: count for (where, reason), count in sorted(pool.left_out.items()) if where == number}
    read = pool.read[number]
    if part.stage is None:
        stated = licences(recipe, [part])
        return CardPart(source=part.source, licences=stated, rows_read=read, rows_used=used, left_out=left_out)
    policy = recipe.policy_before(part.stage) or recipe.model
    asked = load_parts(recipe.stage(part.stage).data)
    return CardPart(
        stage=part.stage,
        answers_by=policy,
        questions_of=tuple(dict.fromkeys(one.source for one in asked if one.source)),
        licences=licences(recipe, asked),
        rows_read=read,
        rows_used=used,
        left_out=left_out,
    )


def _samples(rows: Sequence[Measured]) -> Iterator[CardSample]:
    """The first row of each combination of mode, flag place, and single or multi-turn."""
    seen = set()
    for one in rows:
        row = one.fused.row
        turns = len(query_turns(row.messages))
        kind = (row.mode, place_of_flag(row), turns > 1)
        if kind not in seen:
            seen.add(kind)
            yield CardSample(row.mode, kind[1], turns, one.text[:LONGEST_SAMPLE], row.id)
