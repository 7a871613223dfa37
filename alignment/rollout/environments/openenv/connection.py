"""Sessions of OpenEnv servers: one WebSocket each, JSON messages `reset`, `step`, `mcp` and `close`.

Its `state` says nothing that an episode needs, and is not asked for. A session is one episode's and lives on its
connection. (OpenEnv 0.10, openenv/core/env_server/http_server.py and types.py.)
Neighbours: environment.py, actions.py, ../servers.py (which server takes an episode).
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alignment.core.typed_json import Json
from alignment.rollout.environments.openenv.options import OpenEnvOptions
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentsFull
from alignment.rollout.environments.servers import Answer, key_in
from rewards.posting import is_loopback

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

LARGEST_MESSAGE_BYTES = 10_000_000


class Refused(Exception):
    """A server's answer that it will not do this: the policy's action is not one of its actions."""


class Session:
    """One episode's connection to a server."""

    def __init__(self, url: str, connection: "ClientConnection", timeout_seconds: float) -> None:
        self.url, self._connection, self._timeout_seconds = url, connection, timeout_seconds

    def ask(self, kind: str, data: Mapping[str, Json] | None = None) -> Answer:
        """The `data` of the reply to a message. Raises Refused for an action that is none, and EnvironmentFault."""
        from websockets.exceptions import ConnectionClosed, WebSocketException

        message = {"type": kind} if data is None else {"type": kind, "data": dict(data)}
        try:
            try:
                self._connection.send(json.dumps(message))
            except ConnectionClosed:
                pass  # its last words may still be there to read
            reply = json.loads(self._connection.recv(timeout=self._timeout_seconds))
        except TimeoutError as error:
            told = f"{self.url} did not answer `{kind}` in {self._timeout_seconds:g} s"
            raise EnvironmentFault(told) from error
        except (OSError, WebSocketException) as error:
            raise EnvironmentFault(f"{self.url} ended the session ({type(error).__name__})") from error
        except (ValueError, RecursionError) as error:
            raise EnvironmentFault(f"{self.url} answered `{kind}` with what is not JSON") from error
        found = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(found, dict):
            raise EnvironmentFault(f"{self.url} answered `{kind}` with {str(reply)[:80]}")
        if reply.get("type") != "error":
            return found
        if kind == "step" and found.get("code") == "VALIDATION_ERROR":
            raise Refused(_shown(found))
        if found.get("code") == "CAPACITY_REACHED":
            raise EnvironmentsFull(f"{self.url} has no room: {found.get('message')}; lower `sessions`")
        raise EnvironmentFault(f"{self.url} answered `{kind}` with an error: {_shown(found)}")

    def close(self) -> None:
        """End the session; the server forgets the episode."""
        from websockets.exceptions import WebSocketException

        try:
            self._connection.send('{"type": "close"}')
            self._connection.close()
        except (OSError, WebSocketException):
            pass  # it has ended


def begun(options: OpenEnvOptions, url: str, row: Mapping[str, Json]) -> tuple[Session, Answer]:
    """A session of a server, reset with a row, and its first observation. Raises EnvironmentFault."""
    session = _connected(options, url)
    try:
        return session, session.ask("reset", row)
    except EnvironmentFault:
        session.close()
        raise


def _connected(options: OpenEnvOptions, url: str) -> Session:
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    key = key_in(options.api_key_env, url)
    address = f"ws{url.removeprefix('http')}/ws"
    headers: list[tuple[str, str]] = [("Authorization", f"Bearer {key}")] if key else []
    proxy: Any = None if is_loopback(url) else True  # a proxy cannot reach this machine's own server
    try:
        connection = connect(
            address,
            additional_headers=headers,
            open_timeout=options.timeout_seconds,
            close_timeout=1.0,
            max_size=LARGEST_MESSAGE_BYTES,
            proxy=proxy,
        )
    except (OSError, WebSocketException) as error:
        raise EnvironmentFault(f"{url} cannot be reached ({type(error).__name__}: {error})") from error
    return Session(url, connection, options.timeout_seconds)


def _shown(error: Answer) -> str:
    """An error's code, message and, of a refused action, the fields that are wrong."""
    listed = error.get("errors")
    wrong = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    fields = "; ".join(f"{'.'.join(map(str, _path(one)))}: {one.get('msg')}" for one in wrong[:3])
    return f"{error.get('code')}: {fields or error.get('message')}"[:300]


def _path(error: Mapping[str, Json]) -> list[Json]:
    place = error.get("loc")
    return place if isinstance(place, list) else []
