"""`rewards`: the verdicts that count, and their weights."""

from pydantic import BaseModel, ConfigDict, Field


class Reward(BaseModel):
    """One verdict that counts. Its own options stand beside these keys and are checked against the verifier."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(description="A verifier of rewards/ by name.")
    name: str | None = Field(None, description="What it is called in metrics; left out, its kind.")
    weight: float = Field(1.0, description="What its score is multiplied by before the sum.")
    gate: bool = Field(False, description="Anything less than a full score here makes the whole reward 0.")
