"""card.md: a fusion stage's data card as Markdown, with one rendered sample of each kind of row.

Neighbours: card.py (the numbers, which go into card.json).
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from alignment.core.vocabulary import MODES
from alignment.data.chat.modes import mode_words
from alignment.records.card import CardPart, DataCard, FlagPlace

PLACES: dict[FlagPlace, str] = {
    "none": "none",
    "system": "in the system turn",
    "user": "in the last question",
    "earlier": "in an earlier question",
}


def card_page(card: DataCard) -> str:
    """Render card.md. Text from a model or data set stands in code blocks whose fence it cannot close."""
    return "\n\n".join([*_opening(card), *_counts(card), *_origins(card), *_samples(card)]) + "\n"


def _opening(card: DataCard) -> Iterator[str]:
    found, tokens = card.figures, card.figures.tokens
    yield f"# Data card of `{card.stage}`"
    yield (
        f"{found.rows:,} conversations for supervised fine-tuning in two modes, made by the recipe `{card.recipe}` "
        f"with seed {card.seed}. The last flag in user and system turns sets the mode of the answer; without a flag "
        "the model thinks, or the template's switch says that it does not."
    )
    if tokens is not None:
        yield (
            f"{tokens.all:,} tokens, of which {tokens.with_loss:,} carry loss: the last answers, and the empty think "
            f"blocks that a flag asks for. The median row has {tokens.median_row:,}, the longest {tokens.longest_row:,} "
            f"of at most {tokens.limit:,}."
        )


def _counts(card: DataCard) -> Iterator[str]:
    found = card.figures
    fractions = [
        (
            one.words,
            f"{one.asked:g}",
            "none" if one.made is None else f"{one.made:.3f}",
            f"{one.rows:,} of {one.of:,}",
        )
        for one in found.fractions.values()
    ]
    yield table(("fraction of", "asked", "made", "rows"), fractions)
    yield "## Flags and turns"
    yield f"{found.flag_changes:,} rows hold flags for both modes."
    places = [(words, *(f"{found.flags[mode][place]:,}" for mode in MODES)) for place, words in PLACES.items()]
    yield table(("flag that sets the mode", *map(mode_words, MODES)), places)
    yield table(("questions in a row", "rows"), [(turns, f"{count:,}") for turns, count in found.turns.items()])


def _origins(card: DataCard) -> Iterator[str]:
    yield "## Where the rows are from"
    yield table(("data", "licence", "read", "left out", "used"), map(_origin, card.figures.data))
    unused = ", ".join(f"{count:,} {mode_words(mode)}" for mode, count in card.figures.not_needed.items())
    yield f"Not needed at these fractions: {unused}."


def _origin(part: CardPart) -> tuple[str, ...]:
    name = f"`{part.source}`" if part.source else f"`{part.stage}`: answers of `{part.answers_by}`"
    asked = f" to questions of {', '.join(part.questions_of)}" if part.stage else ""
    licences = "; ".join(dict.fromkeys(part.licences.values()))
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in part.left_out.items()) or "none"
    return name + asked, licences, f"{part.rows_read:,}", left_out, f"{part.rows_used:,}"


def _samples(card: DataCard) -> Iterator[str]:
    yield "## Samples"
    yield "As the template renders them."
    for one in card.samples:
        several = f"{one.turns} questions" if one.turns > 1 else "one question"
        yield f"{mode_words(one.mode)}, {several}, flag {PLACES[one.flag]}:"
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", one.text)), default=0))
        yield f"{fence}text\n{one.text.rstrip()}\n{fence}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
