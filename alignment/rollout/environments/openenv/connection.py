"""Sessions of OpenEnv servers: one WebSocket each, JSON messages `reset`, `step`, `state`, `mcp` and `close`.

A session is one episode's and lives on its connection: if its server dies, the episode is lost and another server takes the
next one. (OpenEnv 0.10, openenv/core/env_server/http_server.py and types.py.) Neighbours: environment.py, actions.py.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alignment.core.typed_json import Json
from alignment.rollout.environments.openenv.options import OpenEnvOptions
from alignment.rollout.environments.protocol import EnvironmentFault, EnvironmentsFull
from rewards.posting import is_loopback

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

LARGEST_MESSAGE_BYTES = 10_000_000
BETWEEN_TRIES_SECONDS = 0.2
LEFT_ALONE_SECONDS = 5.0  # a server that could not be reached, while another can
Answer = Mapping[str, Json]


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


class Servers:
    """The servers of one environment, and how many sessions each has."""

    def __init__(self, options: OpenEnvOptions) -> None:
        self.urls, self._options = [one.rstrip("/") for one in options.urls], options
        self._sessions, self._left_alone_until = dict.fromkeys(self.urls, 0), dict.fromkeys(self.urls, 0.0)
        self._full_since: float | None = None
        self._why = "every session is taken"  # the last reason why a server did not take an episode
        self._lock = threading.Lock()

    def begun(self, row: Mapping[str, Json]) -> tuple[Session, Answer]:
        """A session whose episode was reset with a row, and the first observation.

        A server that is gone or full is passed over. Raises EnvironmentsFull where another episode has to end first, and
        EnvironmentFault where no server takes it while there is patience.
        """
        deadline, full = time.monotonic() + self._options.patience_seconds, False
        while True:
            while url := self._reserved():
                session = None
                try:
                    session = self._connected(url)
                    found = session.ask("reset", row)
                except EnvironmentFault as error:
                    full = full or isinstance(error, EnvironmentsFull)
                    self._failed(url, session, str(error))
                else:
                    self._full_since = None
                    return session, found
            self._refuse_if_full(full=full)
            if time.monotonic() > deadline:
                raise EnvironmentFault(self._why)
            time.sleep(BETWEEN_TRIES_SECONDS)
            with self._lock:
                self._left_alone_until = dict.fromkeys(self.urls, 0.0)

    def ended(self, session: Session) -> None:
        """End a session, and make room for another."""
        session.close()
        with self._lock:
            self._sessions[session.url] -= 1

    def _reserved(self) -> str | None:
        """The server with the fewest sessions, where a session is counted; None if none has room and answered lately."""
        now = time.monotonic()
        with self._lock:
            open_now = [one for one in self.urls if self._left_alone_until[one] <= now]
            roomy = [one for one in open_now if self._sessions[one] < self._options.sessions]
            if not roomy:
                return None
            url = min(roomy, key=self._sessions.__getitem__)
            self._sessions[url] += 1
            return url

    def _refuse_if_full(self, *, full: bool) -> None:
        """Raise EnvironmentsFull where a session that ends may make room, unless that was so for too long."""
        with self._lock:
            if not full and not any(self._sessions.values()):
                return
            now = time.monotonic()
            self._full_since = self._full_since or now
            waited = now - self._full_since
        if not any(self._sessions.values()) and waited > self._options.patience_seconds:
            raise EnvironmentFault(self._why)
        raise EnvironmentsFull(self._why)

    def _failed(self, url: str, session: Session | None, why: str) -> None:
        if session is not None:
            session.close()
        with self._lock:
            self._why = why
            self._sessions[url] -= 1
            self._left_alone_until[url] = time.monotonic() + LEFT_ALONE_SECONDS

    def _connected(self, url: str) -> Session:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        variable = self._options.api_key_env
        key = os.environ.get(variable, "").strip() if variable else ""
        if variable and not key:
            raise EnvironmentFault(f"the environment variable {variable} holds no key for {url}")
        address = f"ws{url.removeprefix('http')}/ws"
        headers: list[tuple[str, str]] = [("Authorization", f"Bearer {key}")] if key else []
        proxy: Any = None if is_loopback(url) else True  # a proxy cannot reach this machine's own server
        try:
            connection = connect(
                address,
                additional_headers=headers,
                open_timeout=self._options.timeout_seconds,
                close_timeout=1.0,
                max_size=LARGEST_MESSAGE_BYTES,
                proxy=proxy,
            )
        except (OSError, WebSocketException) as error:
            raise EnvironmentFault(f"{url} cannot be reached ({type(error).__name__}: {error})") from error
        return Session(url, connection, self._options.timeout_seconds)


def _shown(error: Answer) -> str:
    """An error's code, message and, of a refused action, the fields that are wrong."""
    listed = error.get("errors")
    wrong = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    fields = "; ".join(f"{'.'.join(map(str, _path(one)))}: {one.get('msg')}" for one in wrong[:3])
    return f"{error.get('code')}: {fields or error.get('message')}"[:300]


def _path(error: Mapping[str, Json]) -> list[Json]:
    place = error.get("loc")
    return place if isinstance(place, list) else []
