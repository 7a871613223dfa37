"""Stage kind prm: a process reward model, trained to tell right steps from wrong ones.

Neighbours: training/stages/prm.py (how it runs), recipe/kinds.py (what a kind declares), inference/process_model.py (scores).
"""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from alignment.recipe.kinds import Done, LintIntent, StageKind
from alignment.recipe.process import STEP_TOKEN
from alignment.recipe.stage import TrainingStage
from alignment.recipe.steps import Steps
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
    steps: Steps = Field(
        Steps(), description="How completions are split when the model scores them; a word is short for `by`."
    )


def run(context: "StageContext") -> Done:
    """Train; the model is written to output/."""
    from alignment.training.stages.prm import train_process_model

    return train_process_model(context)


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
    checks=(fresh_adapter,),
)
