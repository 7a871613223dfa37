"""What a recipe may say: a closed, typed document. One sentence under each field, which is also its help text.

A stage is read by the block of its kind, which kinds.py finds. Neighbours: stage.py (the fields of every stage),
sampling.py, lora.py, rewards.py and others (what stages hold), load.py (YAML, line numbers, --set), checks/ (all that
needs more than the document to judge).
"""

from typing import Annotated, Any

from pydantic import Field, PlainValidator, SerializeAsAny
from pydantic_core import PydanticCustomError, PydanticKnownError

from alignment.recipe.closed import Closed
from alignment.recipe.data import DataOverrides
from alignment.recipe.evaluation import Evaluations
from alignment.recipe.hardware import Hardware
from alignment.recipe.issue import nearest
from alignment.recipe.kinds import find_kind, kind_names, kind_of
from alignment.recipe.stage import StageFields


def _read_stage(value: Any) -> StageFields:
    """A stage by its kind; pydantic places what its block refuses at the stage."""
    if isinstance(value, StageFields):
        return value
    if not isinstance(value, dict):
        raise PydanticKnownError("dict_type")
    if "kind" not in value:
        raise PydanticCustomError(
            "stage_kind", "is missing: {hint}", {"hint": f"write one of: {', '.join(kind_names())}"}
        )
    kind = find_kind(str(value["kind"]))
    if kind is None:
        given = str(value["kind"])
        told = {"given": repr(given), "hint": nearest(given, kind_names())}
        raise PydanticCustomError("stage_kind", "found {given}, which is no kind of stage; {hint}", told)
    return kind.fields.model_validate(value)


Stage = Annotated[SerializeAsAny[StageFields], PlainValidator(_read_stage)]


class Recipe(Closed):
    """A model, ordered stages, and what is measured after each."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="Names the run directory.")
    model: str = Field(description="Where the journey starts: `embedded`, a folder with safetensors, or a hub id.")
    seed: int = Field(0, description="Seed of data order, sampling and initial adapters.")
    hardware: Hardware = Field(Hardware(), description="What it runs on.")
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model; leave it off unless you have read that code."
    )
    add_tokens: list[str] = Field(
        [], description="Tokens added to the model's tokenizer before the first stage, such as <think> and </think>."
    )
    chat_template: str | None = Field(
        None, description="A template from data/templates/ that takes the place of the model's own."
    )
    report_to: list[str] = Field([], description="Trackers that TRL reports to: tensorboard, trackio, wandb.")
    data: DataOverrides = Field(DataOverrides(), description="Where data is, if not where its source says.")
    stages: list[Stage] = Field(min_length=1, description="The stages, in the order in which they run.")
    evaluations: Evaluations = Field(Evaluations(), description="What is measured after each stage.")

    def stage(self, name: str) -> StageFields:
        """The stage of that name. Raises KeyError."""
        return {stage.name: stage for stage in self.stages}[name]

    @property
    def stage_names(self) -> list[str]:
        return [stage.name for stage in self.stages]

    def policy_before(self, name: str) -> str | None:
        """The stage whose policy a stage starts from, or None for the model itself."""
        stage = self.stage(name)
        if stage.start_from is not None:
            return stage.start_from
        earlier = self.stages[: self.stage_names.index(name)]
        return next((other.name for other in reversed(earlier) if kind_of(other).leaves_policy), None)
