"""Stage kind decontaminate: leave out rows that repeat an evaluation's problem.

Neighbours: data_factory/overlap.py (the rule), data_factory/evaluations.py (the problems),
training/stages/checked_rows.py (runs it).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.core.errors import DataError
from alignment.data.sources.named import load_source
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, tests_of

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class DecontaminateStage(StageFields):
    """The fields of a decontaminate stage in a recipe."""

    tests: list[str] = Field(
        [], description="Sources whose questions no row may repeat; default: the recipe's evaluations."
    )


def run(context: "StageContext") -> Done:
    """Compare every question with every test's and write the other rows to output/."""
    from alignment.data_factory.evaluations import evaluation_tests
    from alignment.data_factory.filters.check import Check
    from alignment.data_factory.filters.responses import SIMILAR, similar_to
    from alignment.training.stages import checked_rows

    stage: DecontaminateStage = context.stage
    tests = evaluation_tests(context.recipe, stage.tests)
    checked_rows.run(context, lambda _: [Check("similar_to_evaluation", SIMILAR, similar_to(tests.index))], tests)
    return Done(0, 0)


def something_to_compare(recipe: Recipe, index: int, stage: DecontaminateStage) -> Iterator[Issue]:
    """There are tests to compare with."""
    if not stage.tests and not recipe.evaluations.after_each_stage:
        message = "the recipe evaluates nothing, so there are no tests to compare with; name sources"
        yield Issue(("stages", index, "tests"), message)


def readable_tests(recipe: Recipe, index: int, stage: StageFields) -> Iterator[Issue]:
    """Each source that is named to compare with can be read."""
    for number, name in enumerate(tests_of(stage) or []):
        try:
            load_source(name)
        except DataError as error:
            yield Issue(("stages", index, "tests", number), str(error))


KIND = StageKind(
    name="decontaminate",
    fields=DecontaminateStage,
    sentence="leaves out rows that repeat an evaluation's question ([data-factory.md](data-factory.md#decontaminate))",
    takes="rows",
    leaves="rows",
    files="`rows.jsonl`, `card.md`, `card.json`",
    trains=False,
    work=lambda stage: f"compared with {', '.join(stage.tests) or 'the evaluations'}",
    run=run,
    gives=("rows",),
    passes_on=True,
    lint=lambda stage: LintIntent(),
    checks=(something_to_compare, readable_tests),
)
