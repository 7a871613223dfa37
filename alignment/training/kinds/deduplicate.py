"""Stage kind deduplicate: leave out rows that repeat an earlier one, equal ones and nearly equal ones.

Neighbours: data_factory/duplicates.py (finds them), training/stages/checked_rows.py (runs it).
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alignment.data.rows import Conversation
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

if TYPE_CHECKING:
    from alignment.data_factory.filters.check import Check
    from alignment.training.context import StageContext


class DeduplicateStage(StageFields):
    """The fields of a deduplicate stage in a recipe."""

    compare: Literal["conversation", "question"] = Field(
        "conversation",
        description="What of two rows is compared: everything that is said in them, or the last question.",
    )
    threshold: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Least Jaccard index, over three words in a row, of rows that are called nearly equal; 1 for equal rows alone.",
    )


def run(context: "StageContext") -> Done:
    """Find copies and write the first of each to output/."""
    from alignment.training.stages import checked_rows

    stage: DeduplicateStage = context.stage
    checked_rows.run(context, lambda rows: _checks(rows, stage))
    return Done(0, 0)


def _checks(rows: Sequence[Conversation], stage: DeduplicateStage) -> "list[Check[Conversation]]":
    from alignment.data_factory.filters.duplicates import duplicate_checks
    from alignment.data_factory.filters.responses import response_of

    if stage.compare == "question":
        return duplicate_checks(rows, lambda row: response_of(row).question, stage.threshold)
    return duplicate_checks(rows, _said, stage.threshold)


def _said(row: Conversation) -> str:
    """Everything that is said in a conversation, thinking included."""
    turns = ((turn.get("reasoning_content") or "", turn.get("content") or "") for turn in row.messages)
    return "\n".join(str(text) for pair in turns for text in pair if text)


def package(recipe: Recipe, index: int, stage: DeduplicateStage) -> Iterator[Issue]:
    """The package that finds nearly equal rows is installed, where they are looked for."""
    if stage.threshold < 1 and find_spec("rensa") is None:
        yield Issue(
            ("stages", index, "threshold"),
            "nearly equal rows are found by the package rensa, which is not installed: pip install 'alignment[factory]', or "
            "write 1, which finds equal rows alone",
        )


KIND = StageKind(
    name="deduplicate",
    fields=DeduplicateStage,
    sentence="leaves out rows that repeat an earlier one ([data-factory.md](data-factory.md#deduplicate))",
    takes="rows",
    leaves="rows",
    files="`rows.jsonl`, `card.md`, `card.json`",
    trains=False,
    work=lambda stage: f"each {stage.compare} once, from a Jaccard index of {stage.threshold:g} on",
    run=run,
    gives=("rows",),
    passes_on=True,
    lint=lambda stage: LintIntent(),
    checks=(package,),
)
