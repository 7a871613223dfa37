"""The fields of a fusion stage in a recipe: the fractions in which its rows are mixed.

Neighbours: mix.py (builds the rows), training/kinds/fusion.py (declares the kind).
"""

from pydantic import Field

from alignment.recipe.stage import StageFields


class FusionStage(StageFields):
    """The fields of a fusion stage in a recipe."""

    rows: int | None = Field(
        None, ge=8, description="Number of rows to build; default: as many as the data allows at these fractions."
    )
    thinking_fraction: float = Field(0.5, gt=0, lt=1, description="Fraction of rows in thinking mode.")
    unflagged_fraction: float = Field(
        0.5, ge=0, le=1, description="Fraction of thinking rows without a flag, since thinking is the default."
    )
    switched_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Fraction of non-thinking rows without a flag, whose mode is set by the template's switch.",
    )
    system_flag_fraction: float = Field(
        0.2, ge=0, le=1, description="Fraction of flagged rows whose flag stands in the system turn."
    )
    multi_turn_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Fraction of rows with earlier turns; when a user-turn flag sets the mode, an earlier turn carries the opposite flag.",
    )
    max_turns: int = Field(3, ge=2, description="Maximum number of questions in a row that gets earlier turns.")
    max_length: int = Field(
        4096,
        ge=16,
        description="Longest row in tokens; longer ones are left out and counted before the fractions are met.",
    )
