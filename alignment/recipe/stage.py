"""The fields that every stage has, those of every stage that trains, and the blocks that several kinds share.

A kind's own fields are in its file in training/kinds/. Neighbours: kinds.py (what a kind declares), schema.py (the
recipe), sampling.py, rewards.py and lora.py (the blocks).
"""

from typing import Any, Literal

from pydantic import Field

from alignment.recipe.closed import Closed
from alignment.recipe.data import MixturePart
from alignment.recipe.lora import Lora
from alignment.recipe.rewards import Reward
from alignment.recipe.sampling import Sampling

STAGE_NAME = r"^[a-z][a-z0-9_]*$"


class StageFields(Closed):
    """The fields of every stage, of whatever kind."""

    name: str = Field(pattern=STAGE_NAME, description="What this stage is called in this recipe.")
    kind: str = Field(description="What the stage does, which decides the further keys it has.")
    start_from: str | None = Field(
        None, description="The training stage whose policy this one takes; left out, the one before it, or the model."
    )
    data: str | list[MixturePart] = Field(
        description="A mixture from data/mixtures/ by name, or its parts written here."
    )


class TrainingStage(StageFields):
    """The fields of every stage that trains."""

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


def rollout_of(stage: StageFields) -> Sampling | None:
    """The stage's `rollout` block, where its kind has one."""
    found = getattr(stage, "rollout", None)
    return found if isinstance(found, Sampling) else None


def rewards_of(stage: StageFields) -> list[Reward]:
    """The stage's `rewards`; none where its kind has no such block."""
    found = getattr(stage, "rewards", None)
    return found if isinstance(found, list) else []


def max_length_of(stage: StageFields) -> int | None:
    """The tokens of the longest row that the stage takes, where its kind has that field."""
    found = getattr(stage, "max_length", None)
    return found if isinstance(found, int) else None
