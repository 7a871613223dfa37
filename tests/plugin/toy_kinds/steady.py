"""Stage kind steady: sft at a learning rate of its own, to show a kind that trains and decides a trainer key itself."""

from dataclasses import replace
from typing import TYPE_CHECKING

from alignment.recipe.kinds import Done, StageKind
from alignment.recipe.trainer_keys import TrainerKeys
from alignment.training.kinds import sft

if TYPE_CHECKING:
    from alignment.training.context import StageContext

LEARNING_RATE = 1.0e-4
SFT_KEYS = sft.KIND.trainer
assert SFT_KEYS is not None


def run(context: "StageContext") -> Done:
    """Train as an sft stage does."""
    from alignment.training.main import train
    from alignment.training.stages.sft import build

    trainer = {**context.stage.trainer, "learning_rate": LEARNING_RATE}
    return train(replace(context, stage=context.stage.model_copy(update={"trainer": trainer})), build)


KIND = StageKind(
    name="steady",
    fields=sft.SftStage,
    sentence="imitates conversations at a fixed learning rate",
    takes="rows",
    leaves="policy",
    files="a policy",
    trains=True,
    work=lambda stage: f"{stage.trainer['max_steps']} steady steps",
    run=run,
    batch=sft.KIND.batch,
    trainer=TrainerKeys(
        SFT_KEYS.package,
        SFT_KEYS.file,
        SFT_KEYS.class_name,
        {**SFT_KEYS.own, "learning_rate": f"a steady stage trains at {LEARNING_RATE}"},
    ),
    lint=sft.KIND.lint,
)
