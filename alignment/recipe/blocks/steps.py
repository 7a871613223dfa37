"""`steps` and `method` of a step_labels stage: what a step is, and where its labels come from.

Neighbours: data/steps/definition.py (splits completions), data_factory/step_labels/ (the methods),
training/kinds/step_labels.py.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from alignment.recipe.closed import Closed

_COMPLETIONS = "Completions from a prefix; more of them find more ways to the answer."
MARKER, LEAST_PROGRESS = r"(?m)^Step \d+[:.]", 0.8
_TEMPERATURE = "Sampling temperature of completions, below the rollout's for surer ones; default: the rollout's."


class Steps(Closed):
    """The block `steps`: how a completion is split."""

    by: Literal["blank_line", "line", "marker", "statement", "block"] = Field(
        "blank_line",
        description="What separates steps: a blank line, a line break, or the marker that begins each; statement splits a program, "
        "block into the statements of its top level, a loop or a function with all its lines.",
    )
    marker: str = Field(MARKER, description="Regular expression of what begins a step, with `by: marker`.")

    @model_validator(mode="before")
    @classmethod
    def _from_a_word(cls, written: Any) -> Any:
        return {"by": written} if isinstance(written, str) else written

    @model_validator(mode="after")
    def _only_what_is_read(self) -> "Steps":
        if self.by != "marker" and self.marker != MARKER:
            raise ValueError(f"marker is read with `by: marker` alone, and `by` is {self.by}; write `by: marker`")
        return self


class MonteCarlo(Closed):
    """Completions from the end of each step (Math-Shepherd, arXiv 2312.08935)."""

    type: Literal["monte_carlo"] = Field(description="Completions from the end of each step, up to the first 0.")
    completions: int = Field(8, ge=1, description=_COMPLETIONS)
    temperature: float | None = Field(None, gt=0, description=_TEMPERATURE)
    label: Literal["hard", "soft", "relative"] = Field(
        "hard",
        description="hard: 1 if any completion is right; soft: the fraction that is; relative: 1 if the fraction is at least "
        "least_progress times the one before the step.",
    )
    least_progress: float = Field(
        LEAST_PROGRESS,
        gt=0,
        le=1,
        description="The ratio from which a step is right, with relative labels (GenPRM, arXiv 2504.00891).",
    )
    by_difficulty: list[tuple[Annotated[float, Field(gt=0, le=1)], Annotated[int, Field(ge=1)]]] = Field(
        [],
        description="Pairs of an upper bound for the fraction of `completions` right at the prompt, and the completions for "
        "each step of problems below it; default: `completions` for all.",
    )

    @model_validator(mode="after")
    def _only_what_is_read(self) -> "MonteCarlo":
        if self.label != "relative" and self.least_progress != LEAST_PROGRESS:
            raise ValueError(
                f"least_progress is {self.least_progress:g}, and {self.label} labels compare no step with the one before it; "
                "write `label: relative`, or leave out `least_progress`"
            )
        return self


class BinarySearch(Closed):
    """Binary search for the first wrong step (OmegaPRM, arXiv 2406.06592): hard labels for fewer tokens."""

    type: Literal["binary_search"] = Field(
        "binary_search",
        description="Hard labels by binary search for the first prefix from which no completion is right.",
    )
    completions: int = Field(8, ge=1, description=_COMPLETIONS)
    temperature: float | None = Field(None, gt=0, description=_TEMPERATURE)


class Execution(Closed):
    """The arithmetic of each step is computed; no model is asked."""

    type: Literal["execution"] = Field(description="Compute both sides of the equations in each step and compare them.")


class JudgedSteps(Closed):
    """A model behind an endpoint names the first wrong step."""

    type: Literal["llm_judge"] = Field(
        description="A model that is shown the numbered steps names the first wrong one."
    )
    base_url: str = Field("http://127.0.0.1:8000/v1", description="The OpenAI-compatible endpoint of the judge.")
    model: str = Field("", description="The judge's name there; default: the one that the server serves.")
    api_key_env: str = Field("", description="The environment variable that holds the key; default: none is sent.")
    timeout_seconds: float = Field(120.0, gt=0, description="Longest time of a request.")
    concurrency: int = Field(8, ge=1, description="Requests at the same time.")
    retries: int = Field(3, ge=0, description="Further attempts at a request that fails.")
    max_characters: int = Field(
        24_000, ge=1000, description="Longest request; a longer solution is left out and counted."
    )
    max_tokens_total: int = Field(
        0, ge=0, description="Tokens of requests and replies after which the stage stops; 0 is no limit."
    )
    max_cost: float = Field(0.0, ge=0, description="Cost after which it stops, by the prices; 0 is no limit.")
    price_per_million_input: float = Field(0.0, ge=0, description="Price of a million tokens of requests.")
    price_per_million_output: float = Field(0.0, ge=0, description="Price of a million tokens of replies.")

    @model_validator(mode="after")
    def _priced(self) -> "JudgedSteps":
        if self.max_cost and not (self.price_per_million_input or self.price_per_million_output):
            raise ValueError(
                "max_cost needs price_per_million_input or price_per_million_output, or everything costs nothing"
            )
        return self


SingleMethod = Annotated[MonteCarlo | BinarySearch | Execution | JudgedSteps, Field(discriminator="type")]


def _short(value: Any) -> Any:
    """`execution` means `{type: execution}`."""
    return {"type": value} if isinstance(value, str) else value


class Consensus(Closed):
    """Rows where two methods name the same first wrong step (arXiv 2501.07301)."""

    type: Literal["consensus"] = Field(description="Keep the rows where both methods name the same first wrong step.")
    of: tuple[Annotated[SingleMethod, BeforeValidator(_short)], Annotated[SingleMethod, BeforeValidator(_short)]] = (
        Field(description="The two methods; labels are the first one's, a judge's rationale is kept.")
    )


AnyMethod = MonteCarlo | BinarySearch | Execution | JudgedSteps | Consensus
LabelMethod = Annotated[Annotated[AnyMethod, Field(discriminator="type")], BeforeValidator(_short)]
METHODS: dict[str, type[Closed]] = {
    "monte_carlo": MonteCarlo, "binary_search": BinarySearch, "execution": Execution, "llm_judge": JudgedSteps,
    "consensus": Consensus,
}  # fmt: skip
