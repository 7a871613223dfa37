"""What a process reward model is in a recipe: how it is served, and how its step scores become one number.

Neighbours: training/kinds/prm.py (trains one), rewards.py (the reward `process` names one), inference/process_model.py.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from alignment.recipe.blocks.scorers import ScorerEngine
from alignment.recipe.blocks.steps import Steps
from alignment.recipe.closed import Closed

Aggregate = Literal["product", "minimum", "last", "mean"]
StepLogprob = Literal["minimum", "mean"]
AGGREGATES: tuple[Aggregate, ...] = ("product", "minimum", "last", "mean")
STEP_TOKEN = "<extra_0>"  # noqa: S105  Qwen2.5-Math-PRM's, and no password
RIGHT = 1  # the class of a right step; 0 is that of a wrong one


def aggregated(scores: Sequence[float], how: Aggregate) -> float | None:
    """One number for a solution: the product, minimum, mean or last of its step scores; None without steps."""
    if not scores:
        return None
    if how == "product":
        result = 1.0
        for score in scores:
            result *= score
        return result
    if how == "mean":
        return sum(scores) / len(scores)
    return min(scores) if how == "minimum" else scores[-1]


class Process(Closed):
    """The block `process` of a grpo stage: what scores the steps of its completions."""

    stage: str | None = Field(None, description="The prm stage whose model scores steps.")
    model: str | None = Field(None, description="A process reward model by folder or hub id, in place of a stage's.")
    completions: int | None = Field(
        None,
        ge=1,
        description="In place of a model: completions from the end of each step, whose right fraction is its score.",
    )
    policy: str | None = Field(
        None,
        description="In place of a model: a policy, whose own log-probs of a step are its score: an earlier stage, or with a / a folder or hub id.",
    )
    logprob: StepLogprob = Field(
        "minimum",
        description="With `policy`: the probability of a step's least likely token, or the geometric mean over its tokens.",
    )
    engine: ScorerEngine = Field("transformers", description="What computes the model's scores.")
    aggregate: Aggregate = Field(
        "minimum",
        description="How step scores become the score of an answer: product or minimum for labels by search, judges or "
        "humans, last for a model of Monte-Carlo values.",
    )
    weight: float = Field(
        0.0,
        description="Factor of that score in the reward; 0 leaves the reward to the verifiers, which cannot be pleased by a phrase.",
    )
    steps: Steps = Field(
        Steps(), description="How answers are split, with `completions` or `policy`; a model knows its own steps."
    )

    @property
    def policy_stage(self) -> str | None:
        """The stage whose policy gives log-probs; a folder or hub id has a slash."""
        return self.policy if self.policy is not None and "/" not in self.policy else None

    @model_validator(mode="after")
    def _one_scorer(self) -> "Process":
        if sum(one is not None for one in (self.stage, self.model, self.completions, self.policy)) != 1:
            raise ValueError(
                "steps are scored by `stage`, `model`, `policy` or `completions`; write exactly one of them"
            )
        if self.policy is not None and self.engine != "transformers":
            raise ValueError("log-probs of a `policy` are computed by transformers; leave out `engine`")
        if self.completions is not None and self.engine != "transformers":
            raise ValueError("`completions` are sampled by the rollout's engine; leave out `engine`")
        if self.policy is None and self.logprob != "minimum":
            raise ValueError("`logprob` is read with `policy` alone; write `policy`, or leave out `logprob`")
        if (self.stage or self.model) and self.steps != Steps():
            raise ValueError("a model knows its own steps, from the prm stage that trained it; leave out `steps`")
        return self
