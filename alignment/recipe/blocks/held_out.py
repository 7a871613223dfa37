"""`held_out`: rows of a stage that are measured and not trained on, and whether the best checkpoint is what it leaves.

Neighbours: data/held_out.py (which rows), training/held_out.py (measures them), recipe/stage.py (the other fields of a
stage).
"""

from typing import Any, Literal

from pydantic import Field, model_validator

from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.closed import Closed


class HeldOut(Closed):
    """The block `held_out` of an sft or dpo stage. A number alone is its `fraction`."""

    fraction: float = Field(
        0.02,
        gt=0,
        le=0.5,
        description="Fraction of the rows that is held out, by a hash of the first question, so that equal questions stay together.",
    )
    data: str | list[MixturePart] | None = Field(
        None, description="Rows of your own to measure, in place of a fraction of the training rows."
    )
    every_steps: int = Field(50, ge=1, description="Optimizer steps between measurements; the last step is one too.")
    keep: Literal["best", "last"] = Field(
        "best",
        description="The policy that the stage leaves: of the checkpoint with the lowest held-out loss, or of the last step.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fraction_alone(cls, value: Any) -> Any:
        return {"fraction": value} if isinstance(value, int | float) and not isinstance(value, bool) else value
