"""`lora`: low-rank adapters on a training stage."""

from typing import Literal

from pydantic import Field

from alignment.recipe.closed import Closed


class Lora(Closed):
    rank: int = Field(16, ge=1, description="Rank of the two low-rank matrices added to each target.")
    alpha: int = Field(32, ge=1, description="Scale of the update; it is multiplied by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout on the adapter's input while training.")
    targets: str | list[str] = Field(
        "all-linear", description="The modules that get an adapter, by name, or all-linear."
    )
    train_tokens: list[str] = Field(
        [], description="Tokens whose embeddings are trained beside the adapter, such as <think>."
    )
    adapter: Literal["new", "continue"] = Field(
        "new",
        description="new: on top of the merged policy it starts from; continue: that policy's own adapter goes on.",
    )
