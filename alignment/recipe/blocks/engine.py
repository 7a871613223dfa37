"""`engine`: the list of engines, with the options of each in a recipe.

`engine: vllm` is short for `engine: {type: vllm}`. An engine is declared by `ENGINE` in a file that needs no torch;
engines of other packages are found by their entry points. Neighbours: inference/engine.py (the protocol),
inference/start.py (starts one), docs/rollouts.md (how to write one).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, SerializeAsAny, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from alignment.core.errors import RecipeError
from alignment.core.precision import Precision, resolved
from alignment.core.registry import Registry
from alignment.recipe.closed import Closed
from alignment.recipe.issue import nearest

BUILT_IN = {
    "auto": "alignment.inference.auto",
    "vllm": "alignment.inference.vllm.kind",
    "vllm_server": "alignment.inference.vllm.server.kind",
    "transformers": "alignment.inference.transformers.kind",
}


# Options that change how fast an engine samples, but not what.
WITHOUT_EFFECT = (
    "workers",
    "max_sequences",
    "gpu_memory_fraction",
    "gpus_each",
    "endpoints",
    "key_variable",
    "interface",
    "weight_transfer",
    "patience_seconds",
)


class EngineOptions(Closed):
    """The options of every engine."""

    type: str = Field("auto", description="The engine; auto takes vllm if it can run here, and transformers otherwise.")
    dtype: Precision = Field(
        "auto", description="The engine's floating-point type; auto is float32 on a CPU and bfloat16 on a GPU."
    )
    max_sequences: int = Field(256, ge=1, description="Maximum number of completions sampled at once.")
    workers: int | None = Field(
        None,
        ge=1,
        description="Engine processes for sample stages and evaluations; default: one for each device of the machine.",
    )

    def resolved_dtype(self, *, on_gpu: bool) -> str:
        """`float32` or `bfloat16`, as the engine computes."""
        return resolved(self.dtype, on_gpu=on_gpu)


class VllmOptions(EngineOptions):
    """The options of vLLM, and of `auto`, which may choose it."""

    gpu_memory_fraction: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Fraction of a GPU's memory that vLLM may use; default: 0.35 beside a trainer, 0.85 alone.",
    )


class VllmServerOptions(EngineOptions):
    """The options of vLLM in servers, which all ranks of a stage share."""

    gpu_memory_fraction: float = Field(
        0.85, gt=0, lt=1, description="Fraction of its GPUs' memory that each server may use."
    )
    gpus_each: int = Field(1, ge=1, description="GPUs of each server, over which its model is split.")
    endpoints: list[str] = Field(
        [],
        description="Addresses of servers that run already, such as http://10.0.0.7:8000; default: they are started.",
    )
    key_variable: str = Field(
        "VLLM_API_KEY", description="Environment variable with the key of the endpoints; servers started here make one."
    )
    interface: str = Field("127.0.0.1", description="Address that servers started here listen on.")
    weight_transfer: Literal["auto", "shm", "tcp", "lora"] = Field(
        "auto",
        description="How weights reach the servers: shm on one machine, tcp between machines; auto decides. lora: the "
        "adapter alone, to servers that are started here.",
    )
    patience_seconds: float = Field(
        300, gt=0, description="Seconds without an answer after which a server is given up; it is named after 20."
    )

    @property
    def bounds_memory(self) -> bool:
        """Whether the recipe says which fraction of its GPUs it may use, so that others can use the rest."""
        return "gpu_memory_fraction" in self.model_fields_set

    @model_validator(mode="after")
    def _one_origin(self) -> "VllmServerOptions":
        if self.endpoints and self.workers is not None:
            raise PydanticCustomError(
                "engine_origin", "endpoints are servers that run already, and workers are started; write one of them"
            )
        if self.endpoints and self.weight_transfer == "lora":
            raise PydanticCustomError(
                "engine_adapter",
                "endpoints do not see this machine's files, as `weight_transfer: lora` needs; write auto",
            )
        for address in self.endpoints:
            if not re.fullmatch(r"http://[^/\s:]+(:\d+)?/?", address):
                message = {"found": repr(address)}
                raise PydanticCustomError("engine_endpoint", "found {found}; write http://HOST:PORT", message)
        return self


# What an engine holds in the process of a stage: nothing; weights and caches as it needs them; or, on a GPU, a fraction
# of the device from its start, and on a CPU as it needs.
EngineMemory = Literal["elsewhere", "as_needed", "reserved"]


@dataclass(frozen=True)
class EngineKind:
    """The declaration of an engine. No field may need torch; `start` imports it when called."""

    name: str
    options: type[EngineOptions]
    fault: Callable[[int], str | None]  # why it cannot run here beside this many training processes, or None
    start: Callable[[Any], Any]  # from inference.engine.EngineSettings to an inference.engine.Engine
    has_workers: bool = False  # it starts its workers itself, and they take new weights
    # Why it does not take an adapter with these PEFT settings alone, or None; left out, it takes none.
    adapter_fault: Callable[[Mapping[str, Any]], str | None] = lambda _: "it is not known to take adapters"
    memory: EngineMemory = "elsewhere"


REGISTRY = Registry("engine", EngineKind, "ENGINE", "alignment.engines", "docs/rollouts.md", BUILT_IN)


def engine_kind(name: str) -> EngineKind:
    """The engine of that name. Raises RecipeError if there is none, or if a package's declaration cannot be used."""
    kind = find_engine(name)
    if kind is None:
        raise RecipeError(f"there is no engine `{name}`; {nearest(name, engine_names())}")
    return kind


def find_engine(name: str) -> EngineKind | None:
    """Like `engine_kind`, but None for an unknown engine."""
    return REGISTRY.find(name)


def engine_names() -> list[str]:
    """Names of all engines: built-in ones, then those of other packages."""
    return REGISTRY.names()


def engine_options(name: str, **settings: Any) -> EngineOptions:
    """Options for an engine by name. Raises RecipeError, or pydantic's ValidationError for the settings."""
    return engine_kind(name).options(type=name, **settings)


def retyped(options: EngineOptions, name: str) -> EngineOptions:
    """Copy options for another engine, without those that it does not have. Raises RecipeError."""
    chosen = engine_kind(name).options
    return chosen(**(options.model_dump(include=set(chosen.model_fields), exclude_unset=True) | {"type": name}))


def _read_engine(value: Any) -> EngineOptions:
    """Validate the options of an engine by its type."""
    if isinstance(value, EngineOptions):
        return value
    written = {"type": value} if isinstance(value, str) else value
    if not isinstance(written, dict):
        raise PydanticKnownError("dict_type")
    name = str(written.get("type", "auto"))
    kind = find_engine(name)
    if kind is None:
        message = {"found": repr(name), "hint": nearest(name, engine_names())}
        raise PydanticCustomError("engine_type", "found {found}; {hint}", message)
    return kind.options.model_validate({"type": name, **written})


Engine = Annotated[SerializeAsAny[EngineOptions], PlainValidator(_read_engine)]
