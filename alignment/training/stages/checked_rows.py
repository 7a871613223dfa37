"""Runs the kinds that leave rows out by checks: reads the rows, sorts them, writes rows and data card.

They train nothing, and are done in one piece: a kill costs what they take, seconds for thousands of rows. Neighbours:
data_factory/filters/ (the checks), data_factory/checked_card.py (the card), training/kinds/ (the fields).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from alignment.core.errors import DataError
from alignment.core.files import write_text
from alignment.data.mixture import load_parts, part_conversations
from alignment.data.rows import Conversation, write_rows
from alignment.data.sources.rows import LeftOut
from alignment.data_factory.checked_card import Origin, card_page, checked_card
from alignment.data_factory.evaluations import Tests
from alignment.data_factory.filters.check import Check, Row, Sorted, sort_rows
from alignment.recipe.stage import StageFields
from alignment.training.context import StageContext

Checks = Callable[[Sequence[Conversation]], list[Check[Conversation]]]


def run(context: StageContext, checks: Checks, tests: Tests | None = None) -> None:
    """Sort a stage's conversations by the checks that are made for them. Raises DataError if none is left."""
    rows, origin = read(context)
    made = checks(rows)
    finish(context, sort_rows(rows, made), made, origin, tests, "rows.jsonl")


def read(context: StageContext) -> tuple[list[Conversation], Origin]:
    """Every row of a stage's data, and the part that each is from. Ids that stand twice get a number."""
    left_out: list[LeftOut] = []
    rows, parts, seen = list[Conversation](), dict[str, int](), Counter[str]()
    for number, part in enumerate(load_parts(context.stage.data)):
        for row in part_conversations(context.recipe, part, context.artifact, left_out):
            seen[row.id] += 1
            name = row.id if seen[row.id] == 1 else f"{row.id}~{seen[row.id]}"
            rows.append(row if name == row.id else replace(row, id=name))
            parts[name] = number
    context.leave_out(left_out)
    return rows, Origin(parts)


def finish(
    context: StageContext,
    found: Sorted[Row],
    checks: Sequence[Check[Row]],
    origin: Origin,
    tests: Tests | None,
    file: str,
) -> None:
    """Write the rows that stay and the data card, and count. Raises DataError if none stays."""
    stage: StageFields = context.stage
    if not found.kept:
        counted = ", ".join(f"{name} {count}" for name, count in found.found.most_common())
        raise DataError(
            f"every one of {len(origin.parts)} rows was left out, so there is nothing to train on: {counted or 'there were none'}"
        )
    card = checked_card(context.recipe, stage, found, checks, origin, tests)
    output = context.folder.output
    output.mkdir(parents=True, exist_ok=True)
    write_rows(output / file, found.kept)
    card.write(output / "card.json")
    write_text(output / "card.md", card_page(card))
    context.counts.update(
        rows=len(found.kept),
        left_out=len(origin.parts) - len(found.kept),
        found={check.name: found.found[check.name] for check in checks},
        could_not_tell={name: count for name, count in sorted(found.unknown.items()) if count},
    )
    if tests is not None:
        context.counts["tests"] = len(tests.index)
