"""What a recipe may say: a closed, typed document. One sentence under each field, which is also its help text.

The stage kinds are a union discriminated on `kind`; adding a kind is adding a class here and a file in training/kinds/.
Neighbours: sampling.py, lora.py, rewards.py and others (what the stages hold), load.py (YAML, line numbers, --set), checks/ (all that needs more than the document to judge).
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from alignment.recipe.closed import Closed
from alignment.recipe.data import DataOverrides, MixturePart
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.hardware import Hardware
from alignment.recipe.lora import Lora
from alignment.recipe.rewards import Reward
from alignment.recipe.sampling import Rollout, Sampling

STAGE_NAME = r"^[a-z][a-z0-9_]*$"


class StageFields(Closed):
    name: str = Field(pattern=STAGE_NAME, description="What this stage is called in this recipe.")
    start_from: str | None = Field(
        None, description="The training stage whose policy this one takes; left out, the one before it, or the model."
    )
    data: str | list[MixturePart] = Field(
        description="A mixture from data/mixtures/ by name, or its parts written here."
    )


class TrainingStage(StageFields):
    weights_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="What trained weights are held in; auto is bfloat16 for LoRA or DeepSpeed on a GPU, and float32 elsewhere, because small steps round away in bfloat16.",
    )
    lora: Lora | None = Field(None, description="Train low-rank adapters in place of all weights.")
    save_every_steps: int = Field(
        50, ge=1, description="Optimizer steps between checkpoints, which is what a killed run can lose."
    )
    trainer: dict[str, Any] = Field(
        {}, description="Passed to the TRL config class of this kind, each key checked before anything starts."
    )


class SftStage(TrainingStage):
    kind: Literal["sft"] = Field(description="Imitate conversations.")
    max_length: int = Field(4096, ge=16, description="Tokens per row or pack; longer rows are left out and counted.")
    packing: bool = Field(
        True,
        description="Fill each sequence with whole rows that do not see each other; false: rows as they come, not padded.",
    )
    loss_on_empty_think: bool = Field(
        False,
        description="The empty think block of /no_think rows carries loss, so that the policy learns to write it.",
    )
    loss_on_history: bool = Field(False, description="Assistant turns before the last user query carry loss too.")


class GrpoStage(TrainingStage):
    kind: Literal["grpo"] = Field(description="Group-relative policy optimisation on verdicts.")
    rollout: Rollout = Field(Rollout(), description="How completions are sampled.")
    rewards: list[Reward] = Field(min_length=1, description="The verdicts that make the reward.")
    micro_batch: int = Field(8, ge=1, description="Completions per device and forward pass.")


class DpoStage(TrainingStage):
    kind: Literal["dpo"] = Field(description="Prefer the chosen of two answers over the rejected one.")
    max_length: int = Field(
        4096, ge=16, description="Tokens of prompt and answer together; longer pairs are left out and counted."
    )


class SampleStage(StageFields):
    kind: Literal["sample"] = Field(
        description="Draw completions from a policy, judge them, and keep rows to train on."
    )
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


class FusionStage(StageFields):
    kind: Literal["fusion"] = Field(
        description="Mix thinking and non-thinking rows into one set to imitate, and put the flags on that switch them."
    )
    rows: int | None = Field(
        None, ge=8, description="How many rows are made; left out, as many as the data allows at these shares."
    )
    thinking_fraction: float = Field(0.5, gt=0, lt=1, description="The share of rows whose answer thinks.")
    unflagged_fraction: float = Field(
        0.5, ge=0, le=1, description="The share of thinking rows without any flag, since thinking is the default."
    )
    switched_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="The share of non-thinking rows without any flag, which the template's own switch asks for.",
    )
    system_flag_fraction: float = Field(
        0.2, ge=0, le=1, description="The share of flagged rows whose deciding flag stands in the system turn."
    )
    multi_turn_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="The share of rows with earlier turns; where a user turn decides, a flag before it asked for the other mode.",
    )
    max_turns: int = Field(
        3, ge=2, description="Questions in a row that is given earlier turns: two, or up to so many."
    )
    max_length: int = Field(
        4096, ge=16, description="Tokens of a row; longer ones are left out and counted before the shares are met."
    )


Stage = Annotated[SftStage | GrpoStage | DpoStage | SampleStage | FusionStage, Field(discriminator="kind")]
TRAINING_KINDS = ("sft", "grpo", "dpo")


class Recipe(Closed):
    """One journey: a model, ordered stages, and what is measured after each."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="Names the run directory.")
    model: str = Field(description="Where the journey starts: `embedded`, a folder with safetensors, or a hub id.")
    seed: int = Field(0, description="Seed of data order, sampling and initial adapters.")
    hardware: Hardware = Field(Hardware(), description="What it runs on.")
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model; leave it off unless you have read that code."
    )
    add_tokens: list[str] = Field(
        [], description="Tokens added to the model's tokenizer before the first stage, such as <think> and </think>."
    )
    chat_template: str | None = Field(
        None, description="A template from data/templates/ that takes the place of the model's own."
    )
    report_to: list[str] = Field([], description="Trackers that TRL reports to: tensorboard, trackio, wandb.")
    data: DataOverrides = Field(DataOverrides(), description="Where data is, if not where its source says.")
    stages: list[Stage] = Field(min_length=1, description="The stages, in the order in which they run.")
    evaluations: Evaluations = Field(Evaluations(), description="What is measured after each stage.")

    def stage(self, name: str) -> Stage:
        """The stage of that name. Raises KeyError."""
        return {stage.name: stage for stage in self.stages}[name]

    @property
    def stage_names(self) -> list[str]:
        return [stage.name for stage in self.stages]

    def policy_before(self, name: str) -> str | None:
        """The training stage whose policy the stage starts from, or None for the model itself."""
        stage = self.stage(name)
        if stage.start_from is not None:
            return stage.start_from
        earlier = self.stages[: self.stage_names.index(name)]
        return next((other.name for other in reversed(earlier) if other.kind in TRAINING_KINDS), None)
