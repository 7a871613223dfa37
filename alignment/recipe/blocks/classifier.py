"""`classifiers` of a filter_quality stage: models in transformers' sequence-classification form, each with its threshold.

Neighbours: data_factory/filters/classified.py (the check), inference/classifier.py (the model).
"""

from typing import Literal

from pydantic import Field, model_validator

from alignment.recipe.closed import Closed

Reads = Literal["question", "answer", "conversation"]


class Classifier(Closed):
    """One classifier, which is a check of its own: it leaves out rows by the score of one label."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Its name in the data card, such as toxic.")
    model: str = Field(
        description="A model for sequence classification in safetensors: a folder, from the recipe, or a hub id."
    )
    revision: str | None = Field(None, description="Commit, tag or branch of a hub model.")
    label: str | None = Field(
        None, description="The label whose score decides, by its name in the model's config; default: its only one."
    )
    reads: Reads = Field(
        "answer",
        description="What it is shown: the last question, the last answer without its thinking, or every turn with it.",
    )
    at_least: float | None = Field(
        None,
        description="Rows whose score is lower are left out; of a long text the mean over its windows counts.",
    )
    at_most: float | None = Field(
        None,
        description="Rows whose score is higher are left out; of a long text the highest of its windows counts.",
    )
    max_length: int = Field(512, ge=8, description="Tokens of a window; the model's own limit holds too.")

    @model_validator(mode="after")
    def _one_bound(self) -> "Classifier":
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("a classifier has one threshold; write exactly one of `at_least` and `at_most`")
        return self
