"""A real OpenEnv server for tests: run by a Python that has the package `openenv`, which this project does not need.

    python guessing_openenv.py PORT SESSIONS [mcp]

Its environment: a number is to be guessed; observations say higher or lower; the right guess is worth 1 and ends the episode.
guessing_double.py speaks the same protocol without the package.
"""

import sys

import uvicorn
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.mcp_environment import MCPEnvironment
from openenv.core.env_server.mcp_types import CallToolAction, CallToolObservation
from openenv.core.env_server.types import Action, Observation, State
from pydantic import Field


class Guess(Action):
    """Guess the number."""

    guess: int = Field(description="The number.")


class Said(Observation):
    message: str


class Guessing(Environment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def reset(self, seed=None, episode_id=None, number: int = 0, **kwargs):
        self.number, self._state = number, State(episode_id=episode_id)
        return Said(message="I think of a number.", done=False, reward=None)

    def step(self, action, timeout_s=None, **kwargs):
        self._state.step_count += 1
        if action.guess == 666:
            raise RuntimeError("the environment broke")
        if action.guess == self.number:
            return Said(message="right", done=True, reward=1.0)
        return Said(message="higher" if action.guess < self.number else "lower", done=False, reward=0.0)

    @property
    def state(self):
        return self._state


class Asking(MCPEnvironment):
    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self):
        from fastmcp import FastMCP

        server = FastMCP("guessing")

        @server.tool
        def guess(number: int) -> str:
            """Guess the number."""
            return "right" if number == self.number else "higher" if number < self.number else "lower"

        super().__init__(server)
        self._state = State()

    def reset(self, seed=None, episode_id=None, number: int = 0, **kwargs):
        self.number = number
        return Observation(done=False, reward=None)

    def _step_impl(self, action, timeout_s=None, **kwargs):
        return Observation(done=False, reward=None)

    @property
    def state(self):
        return self._state


if __name__ == "__main__":
    port, sessions = int(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:] == ["mcp"]:
        app = create_fastapi_app(Asking, CallToolAction, CallToolObservation, max_concurrent_envs=sessions)
    else:
        app = create_fastapi_app(Guessing, Guess, Said, max_concurrent_envs=sessions)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
