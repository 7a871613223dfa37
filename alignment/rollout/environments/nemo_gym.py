"""One rollout as a session of a NeMo Gym resources server, and the kind `nemo_gym`.

    environment: {kind: nemo_gym, urls: ["http://127.0.0.1:8000"], max_turns: 6}

`POST /seed_session` begins it with the row, `POST /TOOL` is a call of one of the row's tools, and `POST /verify` scores the whole
rollout (reward `environment`). The server knows a session by a cookie, which each rollout keeps (NeMo Gym 0.7,
nemo_gym/server_utils.py). Neighbours: servers.py (which server), rewards/kinds/http_verify (`/verify` without a session).
"""

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from alignment.core.typed_json import Json
from alignment.data.rows import Message, Problem
from alignment.rollout.environments.calls import NO_CALL, calls_in, shortened
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentKind, Opening
from alignment.rollout.environments.servers import Answer, ServerOptions, Servers, key_in, sent_columns
from alignment.rollout.environments.tools import MOST_CALLS
from rewards.contract import Rollout
from rewards.kinds.http_verify.responses import request_params, response
from rewards.kinds.tool_call.verifier import Call
from rewards.posting import LARGEST_REPLY_BYTES, client_for, posted

if TYPE_CHECKING:
    import httpx

RESERVED = frozenset(("seed_session", "verify", "aggregate_metrics", "mcp"))  # routes that no tool may be
BROKEN = 501  # statuses from here on are a gateway's; a 500 is a tool's own error, which NeMo Gym shows the policy


class NemoGymOptions(ServerOptions):
    """What a recipe may write beside `kind: nemo_gym`."""

    sessions: int = Field(8, ge=1, description="Episodes of each server at one time.")
    timeout_seconds: float = Field(60.0, gt=0, description="Longest wait for an answer.")
    patience_seconds: float = Field(60.0, ge=0, description="Longest wait for a server that takes an episode.")
    api_key_env: str = Field("", description="The environment variable that holds the servers' key.")
    result_characters: int = Field(4000, ge=1, description="Longest result of a call; more is cut.")


class Session:
    """One episode's cookies at a server."""

    def __init__(self, url: str, client: "httpx.Client", timeout_seconds: float) -> None:
        self.url, self._client, self._timeout_seconds = url, client, timeout_seconds

    def post(self, route: str, body: Mapping[str, Json]) -> tuple[int, str]:
        """Status and text of the answer; cookies that it sets are kept. Raises EnvironmentFault where there is none."""
        import httpx

        try:
            status, text, _ = posted(
                self._client, f"{self.url}/{route}", body, self._timeout_seconds, LARGEST_REPLY_BYTES
            )
        except (httpx.TimeoutException, TimeoutError) as error:
            raise EnvironmentFault(f"{self.url} did not answer /{route} in {self._timeout_seconds:g} s") from error
        except (httpx.HTTPError, ValueError) as error:
            raise EnvironmentFault(f"{self.url} cannot be asked for /{route} ({type(error).__name__})") from error
        if status >= BROKEN:
            raise EnvironmentFault(f"{self.url} answers /{route} with {status}: {text[:200]}")
        return status, text

    def ask(self, route: str, body: Mapping[str, Json]) -> Answer:
        """The JSON object that a route answers with 200. Raises EnvironmentFault."""
        status, text = self.post(route, body)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if status != 200 or not isinstance(value, dict):
            raise EnvironmentFault(f"{self.url} answers /{route} with {status}: {text[:200]}")
        return value

    def close(self) -> None:
        """Forget the cookies; the server is not told, since NeMo Gym has no route for it."""
        self._client.close()


class Episode:
    """One rollout. Implements Environment, ScoringEnvironment and HoldingEnvironment."""

    def __init__(self, owner: "NemoGymEnvironments") -> None:
        self._owner = owner
        self._session: Session | None = None
        self._row: dict[str, Json] = {}
        self._opening = Opening([], [])
        self._said: list[Message] = []

    def reset(self, problem: Problem) -> Opening:
        """Begin a session with the row; its prompt and tools are the row's own."""
        self._opening, self._said = Opening(problem.messages, problem.tools), []
        asked = Rollout(list(problem.messages), "")
        self._row = {**sent_columns(problem), "responses_create_params": request_params(asked, problem.tools)}
        self._session, _ = self._owner.servers.begun(self._row)
        return self._opening

    def step(self, turn: Message) -> list[Message]:
        """The results of a turn's calls; nothing after a turn without one."""
        self._said.append(turn)
        results: list[Message] = [{"role": "tool", "content": self._called(one)} for one in calls_in(turn)[:MOST_CALLS]]
        self._said += results
        return results

    def score(self) -> float | None:
        """The server's reward for all finished turns; None where it says that it could not judge (`mask_sample`)."""
        told = Rollout(list(self._opening.messages), "", messages=tuple(self._said))
        found = self._begun().ask("verify", {**self._row, "response": response(told, self._opening.tools, 0)})
        if found.get("mask_sample"):
            return None
        reward = found.get("reward")
        if isinstance(reward, bool) or not isinstance(reward, (int, float)) or not math.isfinite(reward):
            raise EnvironmentFault(f"{self._begun().url} answers /verify with the reward {str(reward)[:50]}")
        return float(reward)

    def release(self) -> None:
        """End the session."""
        session, self._session = self._session, None
        if session is not None:
            self._owner.servers.ended(session)

    def _begun(self) -> Session:
        if self._session is None:
            raise EnvironmentFault("the episode was not begun")
        return self._session

    def _called(self, call: Call) -> str:
        """What a tool answers, errors included, as NeMo Gym's own agent shows it. Only the row's tools are routes."""
        if call.name is None:
            return f"error: {NO_CALL}"
        offered = [str(one.get("function", one).get("name")) for one in self._opening.tools]
        known = [name for name in offered if name.isidentifier() and name not in RESERVED]
        if call.name not in known:
            return f"error: there is no tool {call.name!r}; there are: {', '.join(known) or 'none'}"
        _, text = self._begun().post(call.name, dict(call.arguments))
        return shortened(text, self._owner.options.result_characters)


class NemoGymEnvironments:
    """The servers that the rollouts share. Implements Environments and BoundedEnvironments."""

    def __init__(self, options: NemoGymOptions) -> None:
        self.options = options
        self.at_once = options.sessions * len(options.urls)
        urls = [one.rstrip("/") for one in options.urls]
        self.servers: Servers[Session] = Servers(urls, options.sessions, options.patience_seconds, self._begin)

    def new(self) -> Episode:
        """A rollout, whose session begins with its reset."""
        return Episode(self)

    def close(self) -> None:
        """Sessions end with their rollouts."""

    def _begin(self, url: str, row: Mapping[str, Json]) -> tuple[Session, Answer]:
        key, limit = key_in(self.options.api_key_env, url), self.options.timeout_seconds
        session = Session(url, client_for(url, key, limit, concurrency=1), limit)
        try:
            return session, session.ask("seed_session", row)
        except EnvironmentFault:
            session.close()
            raise


def _fault_here(options: NemoGymOptions) -> str | None:
    """Why this machine cannot reach them; any answer will do."""
    import httpx

    for url in options.urls:
        try:
            with client_for(url, "", min(5.0, options.timeout_seconds), concurrency=1) as client:
                client.get(url)
        except httpx.HTTPError as error:
            return f"{url} does not answer ({type(error).__name__}); start the resources server, or write its address"
    return None


KIND: EnvironmentKind = EnvironmentKind("nemo_gym", NemoGymOptions, NemoGymEnvironments, _fault_here)
