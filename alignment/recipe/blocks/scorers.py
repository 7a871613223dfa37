"""`scorers` of a grpo stage: scores that come from a model beside the trainer and join the verdicts of `rewards`.

rewards/ has no model and stays free of torch; what needs one is declared here. Neighbours: rewards.py (the verifiers),
process.py (scores of steps), rollout/scorers/ (what computes these), docs/scorers.md.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from alignment.recipe.closed import Closed

ScorerEngine = Literal["transformers", "vllm"]
POOLING_FRACTION = 0.2  # of a GPU's memory, for a reward model in vLLM beside the trainer and its sampler
FLUENCY_FLOOR = -10.0  # nats per token; an answer that is not there has it, too


class ScorerFields(Closed):
    """The fields of every scorer."""

    kind: str = Field(description="What computes the score: reward_model or fluency.")
    name: str | None = Field(None, description="Its name in metrics and verdicts; default: its kind.")
    weight: float = Field(1.0, description="Factor of its value in the reward; 0 records the score alone.")
    tasks: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of the tasks whose rows it scores, as reports name them; `*` stands for anything, `!NAME` leaves one out; default: all.",
    )

    @property
    def called(self) -> str:
        """Its name in metrics and verdicts."""
        return self.name or self.kind


class RewardModelScorer(ScorerFields):
    """The score of a reward model (one label) for the whole conversation. Within a group it is centred, then clipped."""

    kind: Literal["reward_model"] = Field(description="A reward model.")
    stage: str | None = Field(None, description="The reward_model stage whose model scores.")
    model: str | None = Field(None, description="A reward model by folder or hub id, in place of a stage's.")
    engine: ScorerEngine = Field(
        "transformers",
        description="What computes its scores in the stage's process: transformers, or vLLM's pooling runner.",
    )
    gpu_memory_fraction: float = Field(
        POOLING_FRACTION, gt=0, le=0.95, description="Fraction of a GPU's memory that it takes in vLLM."
    )
    centre: bool = Field(
        True,
        description="Subtract the mean score of the group; only differences between answers to one prompt mean something.",
    )
    clip: float | None = Field(
        3.0, gt=0, description="The centred score enters the reward between minus this and this; none: unclipped."
    )

    @model_validator(mode="after")
    def _one_model(self) -> "RewardModelScorer":
        if (self.stage is None) == (self.model is None):
            raise ValueError("a reward model is a stage's or a folder's; write exactly one of `stage` and `model`")
        return self


class FluencyScorer(ScorerFields):
    """Mean log-prob of the last answer's sampled tokens under the policy at the stage's start."""

    kind: Literal["fluency"] = Field(description="Mean log-prob under the policy at the stage's start.")
    weight: float = Field(0.0, description="Factor of its value in the reward; 0 records the score alone.")
    at_most: float = Field(
        -1.0,
        gt=FLUENCY_FLOOR,
        le=0,
        description="Nats per token from which on a likelier answer earns no more: the blandest answer is the likeliest.",
    )


AnyScorer = Annotated[RewardModelScorer | FluencyScorer, Field(discriminator="kind")]
