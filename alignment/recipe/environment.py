"""`environment`: what answers the policy's turns while it is sampled, in RL, in a sample stage and in evaluations.

A kind's own options stand beside these keys. They are checked against the kind before anything starts
(rollout/environments/registry.py), as a reward's are against its verifier. Neighbour: sampling.py.
"""

from pydantic import BaseModel, ConfigDict, Field


class EnvironmentChoice(BaseModel):
    """Which environment a rollout runs in, and the most turns that the policy takes in it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(
        "single_turn", description="single_turn ends with the first answer, tools executes calls, or an installed kind."
    )
    max_turns: int = Field(8, ge=1, description="Most turns of the policy in one rollout.")
