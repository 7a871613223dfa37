"""The recipe block of a fusion stage: the shares that its rows are mixed in.

Neighbours: mix.py (meets the shares), training/kinds/fusion.py (the kind that this block belongs to).
"""

from pydantic import Field

from alignment.recipe.stage import StageFields


class FusionStage(StageFields):
    """What a recipe says about a fusion stage."""

    rows: int | None = Field(
        None, ge=8, description="How many rows are made; left out, as many as the data allows at these shares."
    )
    thinking_fraction: float = Field(0.5, gt=0, lt=1, description="The share of rows whose answer thinks.")
    unflagged_fraction: float = Field(
        0.5, ge=0, le=1, description="The share of thinking rows without any flag, since thinking is the default."
    )
    switched_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="The share of non-thinking rows without any flag, which the template's own switch asks for.",
    )
    system_flag_fraction: float = Field(
        0.2, ge=0, le=1, description="The share of flagged rows whose deciding flag stands in the system turn."
    )
    multi_turn_fraction: float = Field(
        0.2,
        ge=0,
        le=1,
        description="The share of rows with earlier turns; where a user turn decides, a flag before it asked for the other mode.",
    )
    max_turns: int = Field(
        3, ge=2, description="Questions in a row that is given earlier turns: two, or up to so many."
    )
    max_length: int = Field(
        4096, ge=16, description="Tokens of a row; longer ones are left out and counted before the shares are met."
    )
