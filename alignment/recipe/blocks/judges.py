"""`judges`: models that the runner serves for the rewards that name them, and what a judge has to agree with to train.

Neighbours: rewards.py (`judge` and `agreement` of a reward), recipe/schema.py, run/judges/served.py (serves them),
rollout/judges.py.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from alignment.recipe.blocks.engine import VllmServerOptions
from alignment.recipe.closed import Closed
from alignment.recipe.own.paths import DOUBLE

NAME = r"^[a-z][a-z0-9_]*$"
OF_A_POOL = ("workers", "weight_transfer", "key_variable")  # options of rollout servers


def _read_server(value: Any) -> Any:
    """The options of a server that is started here."""
    written = {"type": value} if isinstance(value, str) else value
    if isinstance(written, dict):
        if written.get("type", "vllm_server") != "vllm_server":
            told = "found {found}; a judge is served by `vllm_server`"
            raise PydanticCustomError("judge_engine", told, {"found": repr(written["type"])})
        written = {"type": "vllm_server", **written}
        if idle := [name for name in OF_A_POOL if name in written]:
            raise PydanticCustomError(
                "judge_idle",
                "a judge has one server, which does not read {names}; remove it",
                {"names": ", ".join(idle)},
            )
        if written.get("endpoints"):
            told = "a server that runs already needs no entry here; write `base_url` under the reward"
            raise PydanticCustomError("judge_endpoints", told)
    return written


class ServedJudge(Closed):
    """A model that `alignment run` serves on this machine while a stage trains whose rewards name it."""

    model: str = Field(
        description="The judge: `embedded`, a folder with safetensors, or a hub id; `double` is a rule in its place, for rehearsals."
    )
    revision: str | None = Field(None, description="Commit of a hub model, 40 hexadecimal digits.")
    max_tokens: int = Field(
        8192, ge=256, description="Tokens of a question and its reply together, for which the server has room."
    )
    engine: Annotated[VllmServerOptions, BeforeValidator(_read_server)] = Field(
        VllmServerOptions(type="vllm_server"), description="The server: `vllm_server` with its options."
    )
    restarts: int = Field(
        3, ge=0, description="How often a server that has ended or does not answer is started again in a stage."
    )

    @property
    def is_double(self) -> bool:
        """Whether a rule stands in place of a model."""
        return self.model == DOUBLE


class Agreement(Closed):
    """What a judge has to agree with before a stage trains on it."""

    data: str = Field(
        description="JSON lines with `question`, `response`, the known `score` from 0 to 1, and what the form reads."
    )
    least: float = Field(0.8, gt=0.5, le=1, description="Smallest fraction of rows on which it has to agree.")
    max_planted: float = Field(
        0.0, ge=0, lt=1, description="Largest fraction of wrong answers with planted words that may pass it."
    )
