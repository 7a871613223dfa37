"""Stage kind filter_queries: leave out problems that nothing can be learned from, before anybody samples or trains on them.

Qwen3's query filters (arXiv 2505.09388, section 4.1), as far as they need no stronger model. Leaves problems.jsonl,
which sample and grpo stages take by `stage: NAME`. Neighbours: data_factory/filters/queries.py (the checks),
training/stages/filter_queries.py.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import Sampling
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields
from alignment.training.kinds.decontaminate import readable_tests

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class FilterQueriesStage(StageFields):
    """The fields of a filter_queries stage in a recipe."""

    rewards: list[Reward] = Field(min_length=1, description="The verifiers that have to be able to judge each problem.")
    rollout: Sampling | None = Field(
        None,
        description="How the policy answers without thinking; problems that it solves so are left out; default: none is asked.",
    )
    solved_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Least fraction of a problem's answers without thinking that are accepted where it counts as solved.",
    )
    accept_score: float | None = Field(
        None,
        description="Smallest reward that is accepted; default: the largest that the weights allow.",
    )
    tests: list[str] = Field(
        [], description="Sources whose questions no problem may repeat; default: the recipe's evaluations."
    )


def run(context: "StageContext") -> Done:
    """Check every problem and write those that pass to output/."""
    from alignment.training.stages import filter_queries

    return Done(0, filter_queries.run(context))


def without_thinking(recipe: Recipe, index: int, stage: FilterQueriesStage) -> Iterator[Issue]:
    """The rollout does not ask for thinking."""
    asked = stage.rollout
    if asked is not None and "thinking_fraction" in asked.model_fields_set and asked.thinking_fraction:
        message = "the policy answers without thinking here, so that what needs none is found; remove this"
        yield Issue(("stages", index, "rollout", "thinking_fraction"), message)


def _work(stage: FilterQueriesStage) -> str:
    asked = stage.rollout
    drawn = f"{asked.generations} answers without thinking to each" if asked else "nothing sampled"
    return f"judged by {', '.join(one.called for one in stage.rewards)}; {drawn}"


KIND = StageKind(
    name="filter_queries",
    fields=FilterQueriesStage,
    sentence="leaves out problems that cannot be judged, need no thinking, or are there twice ([data-factory.md](data-factory.md#query-filters))",
    takes="problems",
    leaves="rows",
    files="`problems.jsonl`, `card.md`, `card.json`",
    trains=False,
    work=_work,
    run=run,
    gives=("problems",),
    lint=lambda stage: LintIntent(None if stage.rollout is None else stage.rollout.max_prompt_tokens),
    checks=(without_thinking, readable_tests),
)
