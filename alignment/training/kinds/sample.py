"""Stage kind sample: draw completions from a policy, judge them, and keep rows to train on.

Neighbours: training/stages/sample.py (how it runs), recipe/kinds.py (what a kind declares).
"""

from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.core.errors import DataError
from alignment.core.vocabulary import Mode
from alignment.data.mixture import load_parts
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.rewards import Reward
from alignment.recipe.sampling import Sampling
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class SampleStage(StageFields):
    """What a recipe says about a sample stage."""

    rollout: Sampling = Field(Sampling(), description="How completions are sampled.")
    rewards: list[Reward] = Field(min_length=1, description="The verdicts that decide what is accepted.")
    accept_score: float | None = Field(
        None,
        description="The total score from which a completion is accepted; left out, the highest that the weights allow.",
    )
    accepted_per_problem: int = Field(
        1, ge=1, description="At most so many accepted completions of one problem become conversations."
    )
    pass_rate: tuple[float, float] = Field(
        (0.0, 1.0), description="Problems whose share of accepted completions lies outside these bounds are dropped."
    )


def run(context: "StageContext") -> Done:
    """Draw, judge and write the rows."""
    from alignment.training.stages import sample

    return Done(0, sample.run(context, context.folder.output))


def pass_rates(recipe: Recipe, index: int, stage: SampleStage) -> Iterator[Issue]:
    """The bounds of the pass rate are bounds."""
    if not 0 <= stage.pass_rate[0] <= stage.pass_rate[1] <= 1:
        yield Issue(("stages", index, "pass_rate"), "is [lowest, highest] between 0 and 1, such as [0.1, 0.9]")


def _most_rows(stage: SampleStage) -> dict[Mode, float]:
    """Every completion that may be accepted, of each mode in which it may have been drawn."""
    try:
        problems = sum(part.count or inf for part in load_parts(stage.data))
    except DataError:
        problems = inf
    accepted = problems * min(stage.accepted_per_problem, stage.rollout.generations)
    share = stage.rollout.thinking_fraction
    return {"thinking": accepted if share > 0 else 0.0, "non_thinking": accepted if share < 1 else 0.0}


def _work(stage: SampleStage) -> str:
    longest = stage.rollout.max_completion_tokens
    return f"{stage.rollout.generations} completions per problem, at most {longest} tokens each"


KIND = StageKind(
    name="sample",
    fields=SampleStage,
    sentence="draws completions from a policy, judges them, keeps the good ones",
    takes="problems",
    leaves="rows",
    files="`rows.jsonl`, `preferences.jsonl`, `pass_rates.jsonl`",
    trains=False,
    work=_work,
    run=run,
    gives=("rows", "pairs"),
    policy_writes=True,
    most_rows=_most_rows,
    lint=lambda stage: LintIntent(stage.rollout.max_prompt_tokens),
    checks=(pass_rates,),
)
