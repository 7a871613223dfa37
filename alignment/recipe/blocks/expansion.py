"""`expand`: layers and width that a process reward model gets beyond its policy.

Neighbours: training/kinds/prm.py (the stage), training/expansion.py (makes the model).
"""

from pydantic import Field

from alignment.recipe.closed import Closed


class Expansion(Closed):
    """The block `expand` of a prm stage."""

    layers: int = Field(
        2, ge=2, description="Layers on top of the policy's; the first begins with heads that look one token back."
    )
    token_width: int = Field(
        64,
        ge=8,
        multiple_of=8,
        description="Numbers of the hidden state in which each token stays as it was written, through all layers.",
    )
    token_weight: float = Field(
        1.0,
        ge=0,
        description="Weight of a second loss, on the first added layer: whether the policy found each token likely.",
    )
    policy_rate: float = Field(
        0.1, ge=0, le=1, description="Learning rate of the policy's own weights, as a fraction of `learning_rate`."
    )
