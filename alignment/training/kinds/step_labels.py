"""Stage kind step_labels: sample solutions, split them into steps, and label the steps for a process reward model.

Neighbours: training/stages/step_labels.py (how it runs), recipe/blocks/steps.py (the methods), recipe/kinds.py (what a
kind declares).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import Sampling
from alignment.recipe.blocks.steps import BinarySearch, Consensus, JudgedSteps, LabelMethod, Steps
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields
from rewards.posting import url_fault

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class StepLabelsStage(StageFields):
    """The fields of a step_labels stage in a recipe."""

    rollout: Sampling = Field(
        Sampling(), description="How solutions, and the completions of their prefixes, are sampled."
    )
    rewards: list[Reward] = Field(min_length=1, description="The verifiers that decide whether an answer is right.")
    steps: Steps = Field(Steps(), description="How a solution is split into steps; a word is short for `by`.")
    method: LabelMethod = Field(
        BinarySearch(), description="Where labels come from: a mapping with `type`, or the name alone."
    )
    keep_right_fraction: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Fraction of the solutions with a right answer that are labelled; below 1 to balance the labels.",
    )
    state: bool = Field(
        False,
        description="Run each program in the sandbox of `python_tests`, and write the values of its names after each step into the "
        "rows, where judges and the report show them.",
    )


def run(context: "StageContext") -> Done:
    """Sample, label and write the rows to output/."""
    from alignment.training.stages import step_labels

    return Done(0, step_labels.run(context, context.folder.output))


def one_turn_only(recipe: Recipe, index: int, stage: StepLabelsStage) -> Iterator[Issue]:
    """Prefixes are completed in one turn, so there is no environment and no thinking budget."""
    if stage.rollout.environment.kind != "single_turn":
        message = "completes prefixes of one answer, and an environment would answer it; remove it"
        yield Issue(("stages", index, "rollout", "environment"), message)
    if stage.rollout.thinking_budget.bounds_thinking:
        message = "would force text into completions whose prefix has spent part of it; remove it"
        yield Issue(("stages", index, "rollout", "thinking_budget"), message)


def judges(recipe: Recipe, index: int, stage: StepLabelsStage) -> Iterator[Issue]:
    """A judge's endpoint can be used."""
    method = stage.method
    for one in method.of if isinstance(method, Consensus) else (method,):
        if isinstance(one, JudgedSteps):
            fault = url_fault(one.base_url, sends_key=bool(one.api_key_env))
            if fault is not None:
                yield Issue(("stages", index, "method"), f"base_url cannot be used: {fault}")


def programs_run(recipe: Recipe, index: int, stage: StepLabelsStage) -> Iterator[Issue]:
    """States are those of programs, under the limits of the reward that runs them."""
    if stage.state and not any(one.kind == "python_tests" for one in stage.rewards):
        message = "runs programs under the limits of the reward python_tests, which this stage does not have; remove it"
        yield Issue(("stages", index, "state"), message)


def _work(stage: StepLabelsStage) -> str:
    longest = stage.rollout.max_completion_tokens
    return f"{stage.rollout.generations} solutions per problem, labels by {stage.method.type}, at most {longest} tokens each"


KIND = StageKind(
    name="step_labels",
    fields=StepLabelsStage,
    sentence="samples solutions and labels their steps for a process reward model",
    takes="problems",
    leaves="rows",
    files="`rows.jsonl`",
    trains=False,
    work=_work,
    run=run,
    gives=("steps",),
    policy_writes=True,
    lint=lambda stage: LintIntent(stage.rollout.max_prompt_tokens),
    checks=(one_turn_only, judges, programs_run),
)
