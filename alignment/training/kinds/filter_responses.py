"""Stage kind filter_responses: Qwen3's six response filters on conversations, before anybody trains on them.

Neighbours: data_factory/filters/responses.py (the filters), training/stages/checked_rows.py (runs them).
"""

from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.stage import StageFields
from alignment.training.kinds.decontaminate import readable_tests

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class FilterResponsesStage(StageFields):
    """The fields of a filter_responses stage in a recipe."""

    rewards: list[Reward] = Field(
        min_length=1,
        description="The verifiers that say which answers are wrong, where the problem that a row answers is known.",
    )
    tests: list[str] = Field(
        [], description="Sources whose questions no row may repeat; default: the recipe's evaluations."
    )


def run(context: "StageContext") -> Done:
    """Check every response and write those that pass to output/."""
    from alignment.data.generators.families import problem_key
    from alignment.data.mixture import load_parts, problems_of
    from alignment.data.sources.declared import has_messages
    from alignment.data.sources.named import source_of
    from alignment.data_factory.checked_card import source_parts
    from alignment.data_factory.evaluations import evaluation_tests
    from alignment.data_factory.filters.responses import response_checks
    from alignment.training.stages import checked_rows

    stage: FilterResponsesStage = context.stage
    parts = [
        one
        for part in load_parts(stage.data)
        for one in ([part] if part.stage is None else source_parts(context.recipe, part.stage))
    ]
    asked = [part for part in parts if not has_messages(source_of(part))]
    references = {problem_key(problem.question): problem for problem in problems_of(context.recipe, asked)}
    tests = evaluation_tests(context.recipe, stage.tests)
    checked_rows.run(context, lambda _: response_checks(stage.rewards, references, tests.index), tests)
    return Done(0, 0)


KIND = StageKind(
    name="filter_responses",
    fields=FilterResponsesStage,
    sentence="leaves out responses by Qwen3's six filters ([data-factory.md](data-factory.md))",
    takes="rows",
    leaves="rows",
    files="`rows.jsonl`, `card.md`, `card.json`",
    trains=False,
    work=lambda stage: f"six filters, answers judged by {', '.join(one.called for one in stage.rewards)}",
    run=run,
    gives=("rows",),
    passes_on=True,
    lint=lambda stage: LintIntent(),
    checks=(readable_tests,),
)
