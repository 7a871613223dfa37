"""Stage kind prm: a process reward model, trained to tell right steps from wrong ones.

Neighbours: training/stages/prm.py (how it runs), recipe/kinds.py (what a kind declares), inference/process_model.py
(scores).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alignment.recipe.blocks.expansion import Expansion
from alignment.recipe.blocks.process import STEP_TOKEN
from alignment.recipe.blocks.steps import Steps
from alignment.recipe.issue import Issue
from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage
from alignment.recipe.trainer_keys import TrainerKeys
from alignment.training.kinds.plan import fresh_adapter, rows_of_batch, steps_or_epochs

if TYPE_CHECKING:
    from alignment.training.context import StageContext


class PrmStage(TrainingStage):
    """The fields of a prm stage in a recipe."""

    max_length: int = Field(
        4096, ge=16, description="Longest solution in tokens; longer ones are left out and counted."
    )
    labels: Literal["hard", "soft"] = Field(
        "hard", description="hard: a label from 0.5 counts as 1, a smaller one as 0; soft: labels are probabilities."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="balanced: right and wrong steps weigh the same in total, however many there are of each."
    )
    head_fraction: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Fraction of the optimizer steps, the first ones, in which the head alone is trained; all weights follow.",
    )
    head_learning_rate: float = Field(
        1e-4, gt=0, description="Learning rate while the head alone is trained (PURE, arXiv 2504.15275)."
    )
    step_token: str = Field(
        STEP_TOKEN,
        min_length=1,
        description="The token after each step at which its score is read; added if it is missing.",
    )
    expand: Expansion | None = Field(
        None,
        description="Layers and width beyond the policy's own, for small models ([process-rewards.md](process-rewards.md)).",
    )
    steps: Steps = Field(
        Steps(), description="How completions are split when the model scores them; a word is short for `by`."
    )


def run(context: "StageContext") -> Done:
    """Train; the model is written to output/."""
    from alignment.training.stages.prm import train_process_model

    return train_process_model(context)


def expansion(recipe: Recipe, index: int, stage: PrmStage) -> Iterator[Issue]:
    """Added layers are trained with all weights, from the first step on."""
    if stage.expand is None:
        return
    if stage.lora is not None:
        message = "an adapter would write over the tokens that the added width keeps; train all weights, or leave `expand` out"
        yield Issue(("stages", index, "lora"), message)
    if stage.head_fraction:
        message = f"found {stage.head_fraction:g}: the head of added layers cannot be trained before they are; write 0"
        yield Issue(("stages", index, "head_fraction"), message)


KIND = StageKind(
    name="prm",
    fields=PrmStage,
    sentence="trains a process reward model, which scores each step of a solution",
    takes="steps",
    leaves="process_model",
    files="a model for token classification",
    trains=True,
    work=lambda stage: f"{steps_or_epochs(stage)}, {stage.head_fraction:.0%} of them the head alone",
    run=run,
    batch=lambda stage: (rows_of_batch(stage), stage.max_length),
    trainer=TrainerKeys(
        "transformers",
        "training_args.py",
        "TrainingArguments",
        {
            "lr_scheduler_type": "head_learning_rate is constant, then learning_rate falls linearly to 0",
            "label_names": "the stage has its own labels",
            "ddp_find_unused_parameters": "the stage decides it: the head is trained alone at first",
            "label_smoothing_factor": "write `labels: soft` beside `trainer` for labels between 0 and 1",
            "prediction_loss_only": "the stage evaluates nothing while it trains; see `alignment processbench`",
        },
        learning_rate=5e-5,
    ),
    lint=lambda stage: LintIntent(stage.max_length),
    checks=(fresh_adapter, expansion),
)
