"""One rollout as an episode of an OpenEnv server, and the kind `openenv`.

    environment: {kind: openenv, urls: ["http://127.0.0.1:8000"], action: text, field: message, max_turns: 6}

The row's columns go to the server's reset; the observation is appended to the last message; each action's observation comes back,
until the server says `done`. Its rewards are the rollout's score (reward `environment`). Neighbours: connection.py, actions.py.
"""

import math
from collections.abc import Mapping
from functools import cached_property, partial

from alignment.core.errors import RecipeError
from alignment.core.typed_json import Json
from alignment.data.rows import Message, Problem, ToolSchema
from alignment.rollout.environments.calls import calls_in, shortened
from alignment.rollout.environments.openenv.actions import Actions, NoAction, act_tool, listed_tools, observed
from alignment.rollout.environments.openenv.connection import Refused, Session, begun
from alignment.rollout.environments.openenv.options import OpenEnvOptions
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentKind, Opening
from alignment.rollout.environments.servers import Answer, Servers, sent_columns
from alignment.rollout.environments.tools import MOST_CALLS


class Episode:
    """One rollout. Implements Environment, ScoringEnvironment and HoldingEnvironment."""

    def __init__(self, owner: "OpenEnvEnvironments") -> None:
        self._owner, self._options = owner, owner.options
        self._session: Session | None = None
        self._actions = Actions("text", owner.options.field, [])
        self._rewards: list[float] = []
        self._has_acted = False

    def reset(self, problem: Problem) -> Opening:
        """Begin an episode with the row's columns; its observation is appended to the last message."""
        self._session, answer = self._owner.servers.begun(sent_columns(problem))
        self._actions = Actions(self._options.action, self._options.field, self._owner.tools(self._session))
        *before, last = problem.messages
        text = "\n\n".join(filter(None, (str(last.get("content") or ""), self._taken_in(answer))))
        return Opening([*before, {**last, "content": text}], [*problem.tools, *self._actions.tools])

    def step(self, turn: Message) -> list[Message]:
        """The observations of a turn's actions; nothing where the episode is done, or a turn has no action."""
        if self._options.action == "text":
            try:
                said, done = self._acted(self._actions.of_text(str(turn.get("content") or "")))
            except Refused as error:
                said, done = f"error: {error}", False
            return [] if done else [{"role": "user", "content": said}]
        results = []
        for call in calls_in(turn)[:MOST_CALLS]:
            try:
                said, done = self._acted(self._actions.of_call(call))
            except (NoAction, Refused) as error:
                said, done = f"error: {error}", False
            if done:
                return []
            results.append({"role": "tool", "content": said})
        return results

    def score(self) -> float | None:
        """The rewards of the episode; None where the server gave none, and 0 where the policy never acted."""
        if not self._rewards:
            return None if self._has_acted else 0.0
        return math.fsum(self._rewards) if self._options.reward == "sum" else self._rewards[-1]

    def release(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            self._owner.servers.ended(session)

    def _acted(self, action: Mapping[str, Json]) -> tuple[str, bool]:
        """The observation of one action as text, and whether the episode is done."""
        if self._session is None:
            raise EnvironmentFault("the episode was not begun")
        self._has_acted = True
        answer = self._session.ask("step", action)
        return self._taken_in(answer), answer.get("done") is True

    def _taken_in(self, answer: Answer) -> str:
        reward = answer.get("reward")
        if isinstance(reward, (int, float)) and math.isfinite(reward):
            self._rewards.append(float(reward))
        return shortened(observed(answer, self._options.observation), self._options.result_characters)


class OpenEnvEnvironments:
    """The servers that the rollouts share. Implements Environments and BoundedEnvironments."""

    def __init__(self, options: OpenEnvOptions) -> None:
        self.options = options
        self.at_once = options.sessions * len(options.urls)
        urls = [one.rstrip("/") for one in options.urls]
        self.servers: Servers[Session] = Servers(
            urls, options.sessions, options.patience_seconds, partial(begun, options)
        )

    def new(self) -> Episode:
        """A rollout, whose session begins with its reset."""
        return Episode(self)

    def tools(self, session: Session) -> list[ToolSchema]:
        """What the prompt offers, as this server says."""
        if self.options.action == "mcp":
            return listed_tools(session)
        return [] if self.options.action == "text" else [self._act]

    def close(self) -> None:
        """Sessions end with their rollouts."""

    @cached_property
    def _act(self) -> ToolSchema:
        """The tool `act`, from the first server that says its schema. Raises RecipeError."""
        for url in self.servers.urls:
            found = _schema(url, self.options)
            if found is not None:
                return act_tool(found)
        raise RecipeError(f"none of {', '.join(self.servers.urls)} answers GET /schema with the schema of its actions")


def _schema(url: str, options: OpenEnvOptions) -> dict[str, Json] | None:
    import httpx

    try:
        with httpx.Client(timeout=options.timeout_seconds, trust_env=False) as client:
            found = client.get(f"{url}/schema").raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None
    action = found.get("action") if isinstance(found, dict) else None
    return action if isinstance(action, dict) else None


def _fault_here(options: OpenEnvOptions) -> str | None:
    """Why this machine cannot reach them: each has to answer GET /health."""
    import httpx

    try:
        import websockets.sync.client  # noqa: F401
    except ImportError:
        return "the environment `openenv` needs websockets; write `pip install 'alignment[openenv]'`"
    for url in options.urls:
        try:
            with httpx.Client(timeout=min(5.0, options.timeout_seconds), trust_env=False) as client:
                client.get(f"{url.rstrip('/')}/health").raise_for_status()
        except httpx.HTTPError as error:
            return f"{url} does not answer GET /health ({type(error).__name__}); start the OpenEnv server, or write its address"
    return None


KIND = EnvironmentKind("openenv", OpenEnvOptions, OpenEnvEnvironments, _fault_here)
