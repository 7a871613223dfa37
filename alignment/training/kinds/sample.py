"""Stage kind sample: rejection sampling; sample completions from a policy and keep those that the rewards accept.

Neighbours: training/stages/sample.py (how it runs), recipe/kinds.py (what a kind declares).
"""

from collections.abc import Iterator
from dataclasses import replace
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
from alignment.recipe.teacher import Teacher

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class SampleStage(StageFields):
    """The fields of a sample stage in a recipe."""

    rollout: Sampling = Field(Sampling(), description="How completions are sampled.")
    rewards: list[Reward] = Field(min_length=1, description="The verifiers that decide which completions are accepted.")
    accept_score: float | None = Field(
        None,
        description="Smallest reward that is accepted; default: the largest that the weights allow.",
    )
    accepted_per_problem: int = Field(
        1, ge=1, description="Maximum number of accepted completions of one problem that become rows."
    )
    pass_rate: tuple[float, float] = Field(
        (0.0, 1.0), description="Drop problems whose fraction of accepted completions is outside these bounds."
    )
    teacher: Teacher | None = Field(
        None, description="The model that answers, for a student to imitate; default: the stage's policy."
    )

    @property
    def reads(self) -> list[str]:
        """The stage whose policy answers in place of its own."""
        return [self.teacher.stage] if self.teacher is not None and self.teacher.stage is not None else []


def run(context: "StageContext") -> Done:
    """Sample, judge and write the rows to output/."""
    from alignment.training.stages import sample

    if context.stage.teacher is not None:
        context = replace(context, policy_path=context.teacher_path())
    return Done(0, sample.run(context, context.folder.output))


def pinned(recipe: Recipe, index: int, stage: SampleStage) -> Iterator[Issue]:
    """A teacher that an engine loads is the newest of its hub id."""
    if stage.teacher is not None and stage.teacher.revision is not None:
        message = "engines load the newest revision of a teacher; download the commit, and write its folder as `model`"
        yield Issue(("stages", index, "teacher", "revision"), message)


def pass_rates(recipe: Recipe, index: int, stage: SampleStage) -> Iterator[Issue]:
    """The bounds of the pass rate are in order and between 0 and 1."""
    if not 0 <= stage.pass_rate[0] <= stage.pass_rate[1] <= 1:
        yield Issue(("stages", index, "pass_rate"), "is [lowest, highest] between 0 and 1, such as [0.1, 0.9]")


def _most_rows(stage: SampleStage) -> dict[Mode, float]:
    """Upper bound for accepted completions, by mode."""
    try:
        problems = sum(part.count or inf for part in load_parts(stage.data))
    except DataError:
        problems = inf
    accepted = problems * min(stage.accepted_per_problem, stage.rollout.generations)
    fraction = stage.rollout.thinking_fraction
    return {"thinking": accepted if fraction > 0 else 0.0, "non_thinking": accepted if fraction < 1 else 0.0}


def _work(stage: SampleStage) -> str:
    longest = stage.rollout.max_completion_tokens
    return f"{stage.rollout.generations} completions per problem, at most {longest} tokens each"


KIND = StageKind(
    name="sample",
    fields=SampleStage,
    sentence="rejection sampling: samples completions and keeps those that the rewards accept",
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
    checks=(pass_rates, pinned),
)
