"""`data`: parts of a mixture, and local files in place of public sets."""

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from alignment.core.vocabulary import Mode
from alignment.recipe.closed import Closed


class SourceOverride(Closed):
    """One entry of `data.sources`."""

    path: Path = Field(description="A local file to read in place of the public data set.")


class DataOverrides(Closed):
    """The block `data` of a recipe."""

    sources: dict[str, SourceOverride] = Field(
        {}, description="Local files for named sources, as in `--set data.sources.gsm8k-train.path=FILE`."
    )
    max_failing_fraction: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Largest fraction of a source's sampled references that may fail their own verifier; above it nothing is started.",
    )
    max_faulty_fraction: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Largest fraction of a source's rows that may be left out and counted because they cannot be used; above it nothing is started.",
    )

    def path_of(self, source: str | None) -> Path | None:
        """The local file that the recipe puts in a source's place; None without one."""
        override = self.sources.get(str(source))
        return None if override is None else override.path


class MixturePart(Closed):
    """One item of a stage's `data`: rows of a source or an earlier stage, with mode and flags."""

    source: str | None = Field(
        None,
        description="A source from data/sources/ by name, a file or folder of rows by its path from the recipe, or a hub id.",
    )
    stage: str | None = Field(
        None,
        description="An earlier stage of this recipe that leaves rows or problems, to take them from it in place of a source.",
    )
    fields: dict[str, Any] = Field(
        {},
        description="Where a table keeps what, in place of what is recognised: question, answer, messages and so on.",
    )
    count: int | None = Field(None, ge=1, description="Number of rows to take; default: all.")
    split: str | None = Field(
        None,
        description="The split of a folder's or hub set's rows; of problems also one of our own by hash, required for procedural sources.",
    )
    configuration: str | None = Field(None, description="The subset of a hub data set; default: its only one.")
    revision: str | None = Field(None, description="The commit, tag or branch of a hub data set; default: its newest.")
    seed: int = Field(0, description="Seed of a procedural source, or of the order of a file's rows.")
    parameters: dict[str, Any] = Field(
        {}, description="Settings that override a procedural source's own, such as max_terms."
    )
    mode: Mode = Field(
        "thinking",
        description="Mode of the answers of these rows; problems for RL take their mode from the rollout.",
    )
    flag_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Fraction of rows whose user turn ends with the /think or /no_think flag of their mode.",
    )
    target_lengths: list[int] = Field(
        [], description="Target lengths in thinking tokens; the questions ask for one each, in turn."
    )
    max_review_passes: int = Field(
        0,
        ge=0,
        description="Maximum number of times a worked solution is repeated, to vary thinking length.",
    )
    length_matched_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Fraction of rows whose number of review passes equals the index of their target length; the rest draw it at random.",
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "MixturePart":
        if (self.source is None) == (self.stage is None):
            raise ValueError("a mixture part takes its rows from either `source` or `stage`; write exactly one of them")
        return self
