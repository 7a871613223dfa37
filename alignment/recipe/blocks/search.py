"""`search` of a sample stage: guided decoding, in which scores of steps decide what an answer becomes.

Neighbours: process.py (what scores steps), rollout/guided.py (searches), training/kinds/sample.py (the stage).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from alignment.recipe.blocks.process import Process
from alignment.recipe.closed import Closed

SEARCHED_BY = ("blank_line", "line")  # what separates steps that can be sampled one at a time


def _scores_alone(process: Process) -> Process:
    """Refuse what only RL has."""
    if process.completions is not None:
        raise ValueError("a search has no values by `completions`; write one of `stage`, `model` and `policy`")
    if process.weight:
        raise ValueError("`weight` is of rewards, and a search compares scores alone; leave it out")
    return process


SearchScorer = Annotated[Process, AfterValidator(_scores_alone)]


class BeamSearch(Closed):
    """Step-level beam search (arXiv 2408.03314, section 5.2)."""

    type: Literal["beam"] = Field(description="Sample steps, and go on from those that score highest.")
    beams: int = Field(4, ge=1, description="Unfinished answers that are kept after each step.")
    expansions: int = Field(
        4,
        ge=1,
        description="Next steps that are sampled for each of them; the first are beams x expansions of the prompt.",
    )
    process: SearchScorer = Field(description="What scores the steps of unfinished answers.")


class BestOfN(Closed):
    """Whole answers, of which the one with the highest score is taken."""

    type: Literal["best_of"] = Field(description="Sample whole answers, and take the highest scored.")
    answers: int = Field(8, ge=1, description="Answers that are sampled for each one that is taken.")
    process: SearchScorer = Field(description="What scores the steps of answers.")


Search = Annotated[BeamSearch | BestOfN, Field(discriminator="type")]
