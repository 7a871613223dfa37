"""The data card of a stage that leaves rows out by checks: what each check found, with examples, and where the rows are from.

It is the same for the same rows: it holds no time, machine or path. Neighbours: filters/check.py (what was found),
records/card.py (card.json), fusion/card_page.py (the pieces of card.md).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alignment.data.mixture import load_parts
from alignment.data.rows import Conversation, Problem
from alignment.data.sources.licences import licences, source_name
from alignment.data_factory.evaluations import Tests
from alignment.data_factory.filters.check import Check, Row, Sorted
from alignment.data_factory.fusion.card_page import table
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields
from alignment.records.card import CardCheck, CardExample, CardFigures, CardPart, DataCard

EXAMPLES = 3  # of each check
LONGEST_EXAMPLE = 800  # characters
NOT_SHOWN = "(not shown: it holds personal data or a secret)"


@dataclass(frozen=True)
class Origin:
    """Where rows are from: the number of the mixture part of each row that was read, by id."""

    parts: dict[str, int]

    def counted(self, rows: Sequence[Conversation | Problem]) -> Counter[int]:
        """Rows by the number of their part."""
        return Counter(self.parts[row.id] for row in rows)


def checked_card(
    recipe: Recipe,
    stage: StageFields,
    found: Sorted[Row],
    checks: Sequence[Check[Row]],
    origin: Origin,
    tests: Tests | None,
) -> DataCard:
    """The contents of card.json."""
    used, read = origin.counted(found.kept), Counter(origin.parts.values())
    faulty = {fault.row.id for fault in found.faults}
    left_out = Counter(origin.parts[name] for name in faulty)
    return DataCard(
        CardFigures(
            rows=len(found.kept),
            modes=dict(Counter(row.mode for row in found.kept if isinstance(row, Conversation))),
            data=tuple(
                _part(recipe, part, read[number], used[number], left_out[number])
                for number, part in enumerate(load_parts(stage.data))
            ),
            checks=tuple(
                CardCheck(one.name, one.sentence, found.found[one.name], found.unknown[one.name]) for one in checks
            ),
            tests=None if tests is None else len(tests.index),
            tests_not_read=() if tests is None else tests.not_read,
        ),
        stage.name,
        recipe.name,
        recipe.seed,
        examples=tuple(_examples(found, checks)),
    )


def _part(recipe: Recipe, part: MixturePart, read: int, used: int, left_out: int) -> CardPart:
    reasons = {"by a check": left_out} if left_out else {}
    if part.stage is None:
        name = source_name(part)
        return CardPart(
            source=name, licences=licences(recipe, [part]), rows_read=read, rows_used=used, left_out=reasons
        )
    asked = source_parts(recipe, part.stage)
    return CardPart(
        stage=part.stage,
        answers_by=recipe.policy_before(part.stage) or recipe.model,
        questions_of=tuple(dict.fromkeys(map(source_name, asked))),
        licences=licences(recipe, asked),
        rows_read=read,
        rows_used=used,
        left_out=reasons,
    )


def source_parts(recipe: Recipe, name: str) -> list[MixturePart]:
    """The sources that the rows of a stage are from, through every stage that passed them on."""
    parts = load_parts(recipe.stage(name).data)
    below = [one for part in parts if part.stage is not None for one in source_parts(recipe, part.stage)]
    return [*(part for part in parts if part.source is not None), *below]


def _examples(found: Sorted[Row], checks: Sequence[Check[Row]]) -> Iterator[CardExample]:
    """The first rows of each check, in the order of the checks; without the text of rows that hold what is private."""
    private = {one.name for one in checks if one.private}
    hidden = {fault.row.id for fault in found.faults if fault.check in private}
    shown = Counter[str]()
    for fault in found.faults:
        if shown[fault.check] < EXAMPLES:
            shown[fault.check] += 1
            text = NOT_SHOWN if fault.row.id in hidden else _text(fault.row)[:LONGEST_EXAMPLE]
            yield CardExample(fault.check, fault.row.id, fault.evidence, text)


def _text(row: Conversation | Problem) -> str:
    turns = []
    for turn in row.messages:
        thinking = turn.get("reasoning_content")
        calls = turn.get("tool_calls")
        turns.append(f"{turn['role']}: " + (f"<think>{thinking}</think> " if thinking else "") + str(turn.get("content") or "")
                     + (json.dumps(calls, ensure_ascii=False) if calls else ""))  # fmt: skip
    return "\n".join(turns)


def card_page(card: DataCard) -> str:
    """card.md. Text from a model or data set stands in code blocks whose fence it cannot close."""
    found = card.figures
    said = [
        f"# Data card of `{card.stage}`",
        f"{found.rows:,} rows passed every check; made by the recipe `{card.recipe}` with seed {card.seed}.",
        table(
            ("check", "rows found", "could not tell", "rule"),
            ((one.name, f"{one.found:,}", f"{one.unknown:,}", one.sentence) for one in found.checks),
        ),
        "Every check looks at every row, so a row may be found by several. What a check cannot tell stays.",
    ]
    if found.tests is not None:
        missing = f"; not with {', '.join(found.tests_not_read)}" if found.tests_not_read else ""
        said.append(f"Rows were compared with {found.tests:,} evaluation problems{missing}.")
    said += [
        "## Where the rows are from",
        table(("data", "licence", "read", "left out", "used"), map(_origin, found.data)),
    ]
    said += (
        ["## Examples of rows that were left out", *(_example(one) for one in card.examples)] if card.examples else []
    )
    return "\n\n".join(said) + "\n"


def _origin(part: CardPart) -> tuple[str, ...]:
    asked = f": answers to questions of {', '.join(part.questions_of)}" if part.stage else ""
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in part.left_out.items()) or "none"
    stated = "; ".join(dict.fromkeys(part.licences.values()))
    return f"`{part.name}`{asked}", stated, f"{part.rows_read:,}", left_out, f"{part.rows_used:,}"


def _example(one: CardExample) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", f"{one.text}\n{one.evidence}")), default=0))
    return f"`{one.check}`, row `{one.id}`:\n\n{fence}text\n{one.text.rstrip()}\n\n{one.evidence}\n{fence}"
