"""The base of every block of a recipe: unknown keys are errors, and values are frozen after loading."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """A block of a recipe: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
