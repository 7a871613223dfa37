"""The fields that every stage has, those of every stage that trains, and the blocks that several kinds share.

A kind's own fields are in its file in training/kinds/. Neighbours: kinds.py (what a kind declares), schema.py (the
recipe), recipe/blocks/sampling.py, recipe/blocks/rewards.py and recipe/blocks/lora.py (the blocks).
"""

from typing import Any, Literal

from pydantic import Field

from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.blocks.held_out import HeldOut
from alignment.recipe.blocks.lora import Lora
from alignment.recipe.blocks.rewards import Reward
from alignment.recipe.blocks.sampling import Sampling
from alignment.recipe.closed import Closed

STAGE_NAME = r"^[a-z][a-z0-9_]*$"


class StageFields(Closed):
    """The fields of every stage, of whatever kind."""

    name: str = Field(pattern=STAGE_NAME, description="Name of the stage, unique in the recipe.")
    kind: str = Field(description="What the stage does; it decides which other keys the stage has.")
    start_from: str | None = Field(
        None,
        description="The training stage whose policy this one starts from; default: the one before it, or the base model.",
    )
    data: str | list[MixturePart] = Field(
        description="A mixture from data/mixtures/ by name, or its parts written here."
    )

    @property
    def reads(self) -> list[str]:
        """Earlier stages whose output it reads beside its policy and its data."""
        return []

    @property
    def scores_every_answer(self) -> bool:
        """Whether a model with a weight gives every answer a reward, whatever the verifiers can judge."""
        return False

    @property
    def shards_scoring_models(self) -> bool:
        """Whether those models are sharded where the trained one is; else each process has whole copies."""
        return False

    @property
    def pooled_models(self) -> list[tuple[str | None, float]]:
        """The models that score answers in vLLM, each with the fraction of a GPU's memory that it takes."""
        return []

    def scoring_models(self, processes: int) -> list[str | None]:
        """The models that it loads to score answers, by folder or hub id; None for one of its policy's size."""
        return []


class TrainingStage(StageFields):
    """The fields of every stage that trains."""

    weights_dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Floating-point type of the trained weights; auto is bfloat16 for LoRA or DeepSpeed on a GPU, else float32, because bfloat16 rounds small steps away.",
    )
    lora: Lora | None = Field(None, description="Train low-rank adapters in place of all weights.")
    save_every_steps: int = Field(
        50, ge=1, description="Optimizer steps between checkpoints; a killed stage loses at most these."
    )
    trainer: dict[str, Any] = Field(
        {}, description="Keys of this kind's TRL config class, each checked before anything starts."
    )

    def resolved_weights_dtype(self, *, on_gpu: bool, deepspeed: bool) -> str:
        """`float32` or `bfloat16`: of the trained weights, or of what 4-bit weights are computed with."""
        if self.weights_dtype != "auto":
            return self.weights_dtype
        # DeepSpeed keeps its own float32 master copy, and LoRA trains a float32 adapter on a frozen base.
        rounded = on_gpu and (self.lora is not None or deepspeed)
        return "bfloat16" if rounded or (self.lora is not None and self.lora.quantise is not None) else "float32"


def held_out_of(stage: StageFields) -> HeldOut | None:
    """The stage's `held_out` block, or None if it has none."""
    found = getattr(stage, "held_out", None)
    return found if isinstance(found, HeldOut) else None


def continues_adapter(stage: StageFields) -> bool:
    """Whether a stage goes on training the adapter of the stage before."""
    return isinstance(stage, TrainingStage) and stage.lora is not None and stage.lora.adapter == "continue"


def rollout_of(stage: StageFields) -> Sampling | None:
    """The stage's `rollout` block, or None if its kind has none."""
    found = getattr(stage, "rollout", None)
    return found if isinstance(found, Sampling) else None


def rewards_of(stage: StageFields) -> list[Reward]:
    """The stage's `rewards`; empty if its kind has none."""
    found = getattr(stage, "rewards", None)
    return found if isinstance(found, list) else []


def tests_of(stage: StageFields) -> list[str] | None:
    """Sources whose problems a stage compares its rows with; empty for the recipe's evaluations, None if it does not compare."""
    found = getattr(stage, "tests", None)
    return found if isinstance(found, list) else None


def max_length_of(stage: StageFields) -> int | None:
    """The stage's `max_length` in tokens, or None if its kind has no such field."""
    found = getattr(stage, "max_length", None)
    return found if isinstance(found, int) else None
