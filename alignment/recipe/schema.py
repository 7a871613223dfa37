"""The schema of a recipe. Each field has one sentence, which is also its help text.

The fields of a stage depend on its kind, which kinds.py finds. Neighbours: stage.py (the fields of every stage),
recipe/blocks/sampling.py, recipe/blocks/lora.py, recipe/blocks/rewards.py and others (the blocks of a stage),
recipe/reading/load.py (YAML, line numbers, --set), checks/ (checks that need more than the document).
"""

from typing import Annotated, Any

from pydantic import Field, PlainValidator, SerializeAsAny, StringConstraints, TypeAdapter
from pydantic_core import PydanticCustomError, PydanticKnownError

from alignment.recipe.blocks.data import DataOverrides
from alignment.recipe.blocks.evaluation import Evaluations
from alignment.recipe.blocks.hardware import Hardware
from alignment.recipe.blocks.judges import NAME, ServedJudge
from alignment.recipe.closed import Closed
from alignment.recipe.issue import nearest
from alignment.recipe.kinds import find_kind, kind_names, kind_of
from alignment.recipe.stage import StageFields


def _read_stage(value: Any) -> StageFields:
    """Validate a stage with the fields of its kind."""
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
        found = {"given": repr(given), "hint": nearest(given, kind_names())}
        raise PydanticCustomError("stage_kind", "found {given}, which is not a stage kind; {hint}", found)
    return kind.fields.model_validate(value)


def read_stage(value: Any) -> StageFields:
    """A stage by itself. Raises ValidationError."""
    return _STAGE.validate_python(value)


Stage = Annotated[SerializeAsAny[StageFields], PlainValidator(_read_stage)]
_STAGE: TypeAdapter[StageFields] = TypeAdapter(Stage)


class Recipe(Closed):
    """A model, ordered stages, and what is measured after each."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="Name of the recipe and of its run directory.")
    model: str = Field(
        description="The base model: `embedded`, a folder with safetensors, or a hub id; or a PEFT adapter by its folder or hub id."
    )
    revision: str | None = Field(
        None, description="Commit of a hub model, 40 hexadecimal digits; a branch or tag works too, and may move."
    )
    seed: int = Field(0, ge=0, description="Seed of data order, sampling and initial adapters.")
    hardware: Hardware = Field(Hardware(), description="Launcher config and devices.")
    trust_remote_code: bool = Field(
        False, description="Run Python code that comes with the model; set it only if you have read that code."
    )
    add_tokens: list[str] = Field(
        [], description="Tokens added to the model's tokenizer before the first stage, such as <think> and </think>."
    )
    chat_template: str | None = Field(
        None,
        description="A template that replaces the model's own: a name from data/templates/, or the path of a .jinja file.",
    )
    report_to: list[str] = Field([], description="Trackers that TRL logs to: tensorboard, trackio, wandb.")
    data: DataOverrides = Field(DataOverrides(), description="Local files in place of public data sets.")
    judges: dict[Annotated[str, StringConstraints(pattern=NAME)], ServedJudge] = Field(
        {}, description="Models that judge for rewards, by name, served while a stage trains that names them."
    )
    stages: list[Stage] = Field(min_length=1, description="The stages, in the order they run.")
    evaluations: Evaluations = Field(Evaluations(), description="What is measured after each stage.")

    @property
    def pinned_model(self) -> str:
        """The model as records name it: `ID@REVISION` where a revision is given."""
        return self.model if self.revision is None else f"{self.model}@{self.revision}"

    def stage(self, name: str) -> StageFields:
        """The stage of that name. Raises KeyError."""
        return {stage.name: stage for stage in self.stages}[name]

    @property
    def stage_names(self) -> list[str]:
        """The names of the stages, in order."""
        return [stage.name for stage in self.stages]

    def policy_before(self, name: str) -> str | None:
        """Name of the stage whose policy a stage starts from, or None for the base model."""
        stage = self.stage(name)
        if stage.start_from is not None:
            return stage.start_from
        earlier = self.stages[: self.stage_names.index(name)]
        return next((other.name for other in reversed(earlier) if kind_of(other).leaves_policy), None)
