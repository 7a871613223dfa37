"""Stage kind reward_model: a scalar reward trained on pairs of a chosen and a rejected answer (Bradley-Terry).

Neighbours: training/stages/reward_model.py (how it runs), recipe/kinds.py (what a kind declares),
records/reward_model.py (what is measured of it).
"""

from typing import TYPE_CHECKING

from pydantic import Field

from alignment.recipe.blocks.held_out import HeldOut
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.stage import TrainingStage
from alignment.recipe.trainer_keys import TrainerKeys
from alignment.training.kinds.plan import MEASURING_KEYS, ROW_KEYS, fresh_adapter, rows_of_batch, steps_or_epochs

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class RewardModelStage(TrainingStage):
    """The fields of a reward_model stage in a recipe."""

    max_length: int = Field(
        4096, ge=16, description="Longest prompt and answer together, in tokens; longer pairs are left out and counted."
    )
    max_too_long_fraction: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Largest fraction of pairs that may be left out as too long; above it nothing is trained.",
    )
    centre: float = Field(
        0.01,
        ge=0,
        description="Weight of the squared sum of a pair's two rewards, which keeps rewards around zero (arXiv 2312.09244); 0 for none.",
    )
    held_out: HeldOut | None = Field(
        None,
        description="Pairs that are measured and not trained on, which say what the model is worth; a number is their fraction.",
    )


def run(context: "StageContext") -> Done:
    """Train and measure; the model is written to output/."""
    from alignment.training.stages.reward_model import train_reward_model

    return train_reward_model(context)


KIND = StageKind(
    name="reward_model",
    fields=RewardModelStage,
    sentence="trains a reward model on pairs of a chosen and a rejected answer",
    takes="pairs",
    leaves="reward_model",
    files="a model for sequence classification with one label",
    trains=True,
    work=lambda stage: f"{steps_or_epochs(stage)}, rows of at most {stage.max_length} tokens",
    run=run,
    batch=lambda stage: (2 * rows_of_batch(stage), stage.max_length),  # chosen and rejected go through together
    trainer=TrainerKeys(
        "trl",
        "trainer/reward_config.py",
        "RewardConfig",
        {
            **MEASURING_KEYS,
            **ROW_KEYS,
            "eos_token": "the chat template says how a turn ends; leave it out",
            "max_length": "write `max_length` beside `trainer`",
            "center_rewards_coefficient": "write `centre` beside `trainer`",
        },
        learning_rate=1e-4,
    ),
    lint=lambda stage: LintIntent(stage.max_length),
    checks=(fresh_adapter,),
)
