"""Builds the rows of a mode-fusion stage: selects examples, adds earlier turns, and places the flags.

Qwen3's stage 3 (arXiv 2505.09388, section 4.3): a flag stands in a user or system turn, the last one wins, and without
a flag the model thinks. Every example is the last answer of exactly one row, because the template strips the thinking
of earlier answers and only the last answer carries loss. Earlier turns are copied from other examples and carry none.
Neighbours: pool.py (which examples are usable), card.py (the data card), data/chat/modes.py (the flags).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from alignment.core.errors import DataError
from alignment.core.vocabulary import MODES, Mode
from alignment.data.chat.modes import mode_words, with_flags
from alignment.data.rows import Conversation
from alignment.data_factory.fusion.pool import Example, Pool
from alignment.data_factory.fusion.stage import FusionStage

Placement = Literal["none", "system", "user"]
PLACEMENTS: tuple[Placement, ...] = ("none", "system", "user")
LAST_TURN_FLAG_FRACTION = 0.75  # of multi-turn rows with room for it; in the others an earlier flag stays in force


@dataclass(frozen=True)
class Fused:
    """A finished row, and the index of the mixture part that its last answer is from."""

    row: Conversation
    part: int


def fuse(stage: FusionStage, pool: Pool, seed: int) -> list[Fused]:
    """The rows of a fusion stage, shuffled; the same for the same pool and seed.

    Raises DataError if the pool has too few examples, or too few short enough to get earlier turns.
    """
    draw = random.Random(f"{seed}/{stage.name}")
    shuffled = {mode: draw.sample(pool.examples[mode], len(pool.examples[mode])) for mode in MODES}
    counts = row_counts(stage, pool)
    rows = [row for mode in MODES for row in _rows(stage, shuffled, mode, counts[mode], draw)]
    draw.shuffle(rows)
    return rows


def row_counts(stage: FusionStage, pool: Pool) -> dict[Mode, int]:
    """Number of rows of each mode: as `rows` says, or as many as the pool allows. Raises DataError if it has too few."""
    most = {mode: _most(pool.examples[mode], stage.multi_turn_fraction) for mode in MODES}
    largest = _largest(stage, most)
    counts = halves(largest if stage.rows is None else stage.rows, stage.thinking_fraction)
    at = f"at thinking_fraction {stage.thinking_fraction:g} and multi_turn_fraction {stage.multi_turn_fraction:g}"
    if not all(counts.values()):
        raise DataError(
            f"stage `{stage.name}`: {at} one of the modes would have no row, so no switch could be learned: "
            f"{pool.summary()}; add data of the missing mode"
        )
    for mode in MODES:
        if counts[mode] > most[mode]:
            raise DataError(
                f"stage `{stage.name}`: {stage.rows} rows {at} need {counts[mode]} {mode_words(mode)} rows, and {pool.summary()}; "
                f"write rows: {largest} or less, or add data"
            )
    return counts


def halves(rows: int, thinking_fraction: float) -> dict[Mode, int]:
    """Split a number of rows into thinking and non-thinking."""
    thinking = round(rows * thinking_fraction)
    return {"thinking": thinking, "non_thinking": rows - thinking}


def _largest(stage: FusionStage, most: dict[Mode, int]) -> int:
    """The largest number of rows for which both modes have enough examples."""
    rows = sum(most.values())
    while rows and any(count > most[mode] for mode, count in halves(rows, stage.thinking_fraction).items()):
        rows -= 1
    return rows


def _most(examples: Sequence[Example], multi_turn_fraction: float) -> int:
    """The largest number of rows of one mode; multi-turn examples are used only for multi-turn rows."""
    chats = sum(example.turns > 1 for example in examples)
    rows = len(examples)
    while rows - min(chats, round(multi_turn_fraction * rows)) > len(examples) - chats:
        rows -= 1
    return rows


def allot(total: int, sizes: Sequence[int]) -> list[int]:
    """Split a total in proportion to sizes, in whole numbers (largest remainder method); no part exceeds its size."""
    whole = sum(sizes)
    exact = [total * size / whole if whole else 0.0 for size in sizes]
    given = [int(amount) for amount in exact]
    order = sorted(range(len(sizes)), key=lambda index: given[index] - exact[index])
    for index in order[: total - sum(given)]:
        given[index] += 1
    return given


def _rows(
    stage: FusionStage, pool: dict[Mode, list[Example]], mode: Mode, count: int, draw: random.Random
) -> Iterator[Fused]:
    """The rows of one mode, with flags and earlier turns in exactly the recipe's fractions."""
    bare = round(count * (stage.unflagged_fraction if mode == "thinking" else stage.switched_fraction))
    system = round((count - bare) * stage.system_flag_fraction)
    sizes = [bare, system, count - bare - system]
    multi = allot(round(count * stage.multi_turn_fraction), sizes)
    behind = _shuffled(multi, draw)  # the placement of each row with earlier turns
    alone = _shuffled([size - several for size, several in zip(sizes, multi, strict=True)], draw)
    chats = [example for example in pool[mode] if example.turns > 1][: len(behind)]
    singles = [example for example in pool[mode] if example.turns == 1]
    for placement, chat in zip(behind, chats, strict=False):
        yield _flagged(stage, chat, placement, _flags(stage, mode, chat.turns, placement, draw))
    kept = []
    for placement in behind[len(chats) :]:
        joined = None
        while joined is None:
            if not singles:
                raise DataError(
                    f"too few {mode_words(mode)} rows are short enough to get earlier turns within max_length "
                    f"{stage.max_length}; raise it, or lower multi_turn_fraction {stage.multi_turn_fraction:g}"
                )
            example = singles.pop()
            joined = _joined(stage, pool, example, placement, draw)
            if joined is None:
                kept.append(example)
        yield joined
    for placement, example in zip(alone, [*kept, *singles], strict=False):
        yield _flagged(stage, example, placement, _flags(stage, mode, 1, placement, draw))


def _shuffled(counts: Sequence[int], draw: random.Random) -> list[Placement]:
    listed = [placement for placement, count in zip(PLACEMENTS, counts, strict=True) for _ in range(count)]
    draw.shuffle(listed)
    return listed


@dataclass(frozen=True)
class _Flags:
    system: Mode | None
    queries: list[Mode | None]

    def in_force(self, turn: int, unasked: Mode) -> Mode:
        """The mode in which a turn is answered: that of the last flag up to it, or `unasked` without one."""
        said = [flag for flag in (self.system, *self.queries[: turn + 1]) if flag is not None]
        return said[-1] if said else unasked


def _flags(stage: FusionStage, mode: Mode, turns: int, placement: Placement, draw: random.Random) -> _Flags:
    """Flags that set this mode. If a flag in one of several user turns sets it, an earlier turn carries the opposite flag."""
    queries: list[Mode | None] = [None] * turns
    if placement != "user":
        return _Flags(mode if placement == "system" else None, queries)
    if turns == 1:
        return _Flags(None, [mode])
    other: Mode = "non_thinking" if mode == "thinking" else "thinking"
    opens_in_system = draw.random() < stage.system_flag_fraction
    first = 0 if opens_in_system else 1  # the first turn whose flag may set the mode
    if not opens_in_system:
        queries[0] = other
    stays = first < turns - 1 and draw.random() >= LAST_TURN_FLAG_FRACTION
    deciding = draw.randrange(first, turns - 1) if stays else turns - 1
    for turn in range(first, deciding):
        queries[turn] = draw.choice((None, mode, other))
    queries[deciding] = mode
    return _Flags(other if opens_in_system else None, queries)


def _joined(
    stage: FusionStage, pool: dict[Mode, list[Example]], example: Example, placement: Placement, draw: random.Random
) -> Fused | None:
    """An example with earlier turns from other examples, each in the mode then in force; None if too few fit."""
    wanted = draw.randint(2, stage.max_turns)
    flags = _flags(stage, example.row.mode, wanted, placement, draw)
    left, asked, history = stage.max_length - example.tokens, {example.question}, []
    for turn in range(wanted - 1):
        modes = pool[flags.in_force(turn, example.row.mode)]
        fitting = [one for one in modes if 0 < one.history_tokens <= left and one.question not in asked]
        if not fitting:
            return None
        chosen = draw.choice(fitting)
        left -= chosen.history_tokens
        asked.add(chosen.question)
        history += chosen.row.messages
    messages = example.row.messages
    opening = [message for message in messages[:1] if message["role"] == "system"]
    row = replace(example.row, messages=[*opening, *history, *messages[len(opening) :]])
    return _flagged(stage, replace(example, row=row), placement, flags)


def _flagged(stage: FusionStage, example: Example, placement: Placement, flags: _Flags) -> Fused:
    messages = with_flags(example.row.messages, flags.system, flags.queries)
    return Fused(replace(example.row, messages=messages), example.part)
