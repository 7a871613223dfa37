"""`lora`: low-rank adapters on a training stage."""

from typing import Literal

from pydantic import Field

from alignment.recipe.closed import Closed


class Lora(Closed):
    """The block `lora` of a training stage (LoRA, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1, description="Rank of the two low-rank matrices added to each target.")
    alpha: int = Field(32, ge=1, description="Scale of the update, which is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input during training.")
    targets: str | list[str] = Field(
        "all-linear", description="Names of the modules that get an adapter, or all-linear."
    )
    train_tokens: list[str] = Field([], description="Tokens whose embeddings are trained too, such as <think>.")
    adapter: Literal["new", "continue"] = Field(
        "new",
        description="new: a fresh adapter on the merged policy; continue: train the adapter of the stage before.",
    )
