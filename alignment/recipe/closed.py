"""What every part of a recipe is: closed, so that unknown keys are errors, and frozen after loading."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """A part of a recipe: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
