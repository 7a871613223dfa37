"""What a recipe may write for an OpenEnv server. Neighbours: environment.py (the kind), connection.py, actions.py."""

from typing import Literal

from pydantic import Field

from alignment.rollout.environments.servers import ServerOptions

Form = Literal["text", "act", "mcp"]


class OpenEnvOptions(ServerOptions):
    """What a recipe may write beside `kind: openenv`."""

    action: Form = Field(
        "act", description="A turn is an answer's text, a call of `act`, or a call of a tool of the server's."
    )
    field: str = Field("message", description="With `action: text`, the field of the action that is the answer.")
    observation: str = Field("", description="The field of an observation that is shown; left out, all of it as JSON.")
    reward: Literal["last", "sum"] = Field(
        "last", description="The score: the last reward that is not null, or their sum."
    )
    sessions: int = Field(8, ge=1, description="Episodes of each server at one time, its `max_concurrent_envs`.")
    timeout_seconds: float = Field(60.0, gt=0, description="Longest wait for an answer.")
    patience_seconds: float = Field(60.0, ge=0, description="Longest wait for a server that takes an episode.")
    api_key_env: str = Field("", description="The environment variable that holds the servers' key.")
    result_characters: int = Field(4000, ge=1, description="Longest observation; more is cut.")
