"""HTTP to one server: JSON in and out, over connections that are kept.

Every thread that asks has a connection of its own while it waits, so that `drop` can end what hangs. Neighbours: fleet.py
(which servers there are), requests.py (what is asked).
"""

import http.client
import json
import socket
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from alignment.core.errors import EngineError

KEPT_SECONDS = 3.0  # that a connection may be idle: uvicorn closes one after 5
CONNECT_SECONDS = 10.0
BODY_SHOWN = 600  # characters of an error's body
Json = dict[str, Any]


class ServerLost(Exception):
    """A server gives no answer any more: its connection is gone, or it says that it failed."""


class _Connection(http.client.HTTPConnection):
    """A connection with the time at which it was last used."""

    used = 0.0


class ServerClient:
    """A client of one server."""

    def __init__(self, address: str, key: str) -> None:
        found = urlsplit(address)
        self.address, self.key, self._host, self._port = address, key, found.hostname or "", found.port or 80
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._lock, self._closed, self._drops = threading.Lock(), False, 0
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()

    def ask(self, method: str, path: str, body: Json | None = None, timeout: float | None = None) -> Json:
        """The JSON of an answer. timeout: in seconds, between bytes; None waits for as long as it takes.

        Raises ServerLost, and EngineError for what the server refuses.
        """
        return _read(self._said(method, path, body, timeout), f"{self.address}{path}")

    def tell(self, path: str, body: Json | None = None) -> None:
        """Post what is answered with status 200 and any text (vLLM answers some in JSON and some in words).

        Raises as `ask` does.
        """
        self._said("POST", path, body, None)

    def close(self) -> None:
        """Drop, and answer every later question with ServerLost."""
        self._closed = True
        self.drop()

    def drop(self) -> None:
        """End every question under way: whoever waits gets ServerLost."""
        with self._lock:
            self._drops += 1
            for connection in self._busy:
                if connection.sock is not None:
                    try:
                        connection.sock.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass  # it has ended by itself
            for connection in self._idle:
                connection.close()
            self._idle = []

    def own_address(self) -> str:
        """The address of this machine at which the server can reach it. Raises ServerLost."""
        try:
            with socket.create_connection((self._host, self._port), CONNECT_SECONDS) as line:
                return str(line.getsockname()[0])
        except OSError as error:
            raise ServerLost(str(error)) from error

    def _said(self, method: str, path: str, body: Json | None, timeout: float | None) -> bytes:
        """The body of an answer with status 200."""
        raw = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        drops = self._drops
        connection, fresh = self._taken()
        while True:
            try:
                self._connected(connection, drops)
                status, said = self._exchanged(connection, (method, path, raw), timeout)
                break
            except (OSError, http.client.HTTPException) as error:
                self._given_back(connection, keep=False)
                dropped = isinstance(error, (ConnectionError, http.client.RemoteDisconnected))
                if fresh or not dropped or self._closed or self._drops != drops:
                    raise ServerLost(f"{path}: {error or type(error).__name__}") from error
                connection, fresh = self._taken(new=True)  # a kept one may have been closed meanwhile
        self._given_back(connection, keep=True)
        _refuse(status, said, f"{self.address}{path}")
        return said

    def _exchanged(
        self, connection: _Connection, asked: tuple[str, str, bytes | None], timeout: float | None
    ) -> tuple[int, bytes]:
        method, path, raw = asked
        connection.sock.settimeout(timeout)
        connection.request(method, path, raw, self._headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _connected(self, connection: _Connection, drops: int) -> None:
        """Connect. Raises ConnectionAbortedError if the client was dropped since, which a connection in the making outlives."""
        if connection.sock is None:
            connection.timeout = CONNECT_SECONDS
            connection.connect()
        if self._closed or self._drops != drops:
            raise ConnectionAbortedError("the question was dropped")

    def _taken(self, *, new: bool = False) -> tuple[_Connection, bool]:
        """A connection, and whether it is a new one."""
        with self._lock:
            late = time.monotonic() - KEPT_SECONDS
            while self._idle and not new:
                connection = self._idle.pop()
                if connection.used > late:
                    self._busy.add(connection)
                    return connection, False
                connection.close()
            connection = _Connection(self._host, self._port)
            self._busy.add(connection)
            return connection, True

    def _given_back(self, connection: _Connection, *, keep: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            if keep and connection.sock is not None:
                connection.used = time.monotonic()
                self._idle.append(connection)
            else:
                connection.close()


def _refuse(status: int, said: bytes, where: str) -> None:
    """Raise ServerLost for a server that failed, and EngineError for one that refuses."""
    if status >= 500:
        raise ServerLost(f"{where} answered {status}: {_start(said)}")
    if status != 200:
        raise EngineError(f"{where} refused a request with status {status}: {_start(said)}")


def _read(said: bytes, where: str) -> Json:
    """The JSON object in an answer."""
    try:
        found = json.loads(said) if said else {}
    except ValueError as error:
        raise ServerLost(f"{where} answered something that is not JSON: {_start(said)}") from error
    if not isinstance(found, dict):
        raise ServerLost(f"{where} answered something that is not an object: {_start(said)}")
    return found


def _start(said: bytes) -> str:
    """What is shown of an answer."""
    return said.decode(errors="replace")[:BODY_SHOWN]
