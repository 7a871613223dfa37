"""`data`: parts of a mixture, and local files in place of public sets."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from alignment.core.vocabulary import Mode, Split
from alignment.recipe.closed import Closed


class SourceOverride(Closed):
    path: Path = Field(description="A local file that takes the place of the public data set.")


class DataOverrides(Closed):
    sources: dict[str, SourceOverride] = Field(
        {}, description="Local files for named sources, as in `--set data.sources.gsm8k-train.path=FILE`."
    )
    max_failing_fraction: float = Field(
        0.02,
        ge=0,
        le=1,
        description="The share of a source's sampled references that may fail their own grader before nothing is started.",
    )


class MixturePart(Closed):
    source: str | None = Field(None, description="A source from data/sources/ by name.")
    stage: str | None = Field(
        None, description="A sample or fusion stage of this recipe whose rows are taken, in place of a source."
    )
    count: int | None = Field(None, ge=1, description="How many rows to take; left out, all that there are.")
    split: Split | None = Field(
        None, description="The part of the problem space to draw from; needed for procedural sources."
    )
    seed: int = Field(
        0, description="Where a procedural source starts, and the order in which a file's rows are taken."
    )
    parameters: dict[str, Any] = Field(
        {}, description="Settings of a procedural source that differ from its own, such as max_terms."
    )
    mode: Mode = Field(
        "thinking",
        description="Whether the answers of these rows think; problems for RL take their mode from the rollout.",
    )
    flag_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of rows whose user turn ends with the /think or /no_think flag of their mode.",
    )
    target_lengths: list[int] = Field(
        [], description="Thinking lengths in tokens, one of which each question asks for, in turn."
    )
    max_review_passes: int = Field(
        0,
        ge=0,
        description="How often, at most, a worked solution is gone over again, so that thinking differs in length.",
    )
    length_matched_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="The share of rows gone over as often as the place of their told budget says; the others, by chance.",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "MixturePart":
        if (self.source is None) == (self.stage is None):
            raise ValueError("a mixture part takes its rows from either `source` or `stage`: write exactly one of them")
        return self
