"""`environment`: what the policy interacts with in a rollout, in RL, in a sample stage and in evaluations.

A kind's own options stand beside these keys, and are checked against the kind before anything starts. Neighbours:
sampling.py, rollout/environments/registry.py (the kinds).
"""

from pydantic import BaseModel, ConfigDict, Field


class EnvironmentChoice(BaseModel):
    """The environment of a rollout, and the maximum number of the policy's turns in it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(
        "single_turn",
        description="single_turn ends with the first answer, tools executes calls, openenv, verifiers and nemo_gym play episodes of servers, an installed kind, or `FILE.py:CLASS` of your own.",
    )
    max_turns: int = Field(8, ge=1, description="Maximum number of the policy's turns in one rollout.")
