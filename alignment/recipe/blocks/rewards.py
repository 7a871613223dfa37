"""`rewards`: the verifiers that make up the reward, and their weights."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from alignment.recipe.blocks.judges import NAME, Agreement
from alignment.recipe.own.code import short_name


class Reward(BaseModel):
    """One item of `rewards`. The verifier's own options stand beside these keys and are checked against it."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: str = Field(
        description="A verifier of rewards/ by name, or one of your own: `FILE.py:NAME` beside the recipe, or `python:MODULE.NAME`."
    )
    name: str | None = Field(None, description="Its name in metrics; default: its kind, or its function's name.")
    weight: float = Field(1.0, description="Factor of its score in the reward.")
    gate: bool = Field(False, description="Set the whole reward to 0 unless this score is 1.")
    tasks: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of the tasks whose rows it judges, as reports name them; `*` stands for anything, `!NAME` leaves one out; default: every row that has what it reads.",
    )
    judge: str | None = Field(
        None, pattern=NAME, description="Of `kind: judge`: the name of a model under `judges`, which is served for it."
    )
    agreement: Agreement | None = Field(
        None, description="Of `kind: judge`: known verdicts with which it has to agree before a stage trains on it."
    )

    @property
    def called(self) -> str:
        """Its name in metrics and verdicts."""
        return self.name or short_name(self.kind) or self.kind

    def spec(self) -> dict[str, Any]:
        """What rewards/ knows of it."""
        return self.model_dump(exclude_none=True, exclude={"judge", "agreement"})
