"""The protocol of a verifiers v1 environment server: ZMQ frames of an id, a method and msgpack, on one socket for each episode.

`run` is answered by frames `delta`, which say what changed in an agent's trace, and one `reply` at the end. Of the deltas only what
decides the score is kept. (verifiers 0.4, verifiers/v1/serve/server.py, client.py and delta.py.) Neighbour: episode.py.
"""

import contextlib
import uuid
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from alignment.core.typed_json import Json
from alignment.rollout.environments.protocol import EnvironmentFault

HEALTH_SECONDS = 5.0
KEPT = ("rewards", "ok", "stop_condition", "is_timeout")  # of a trace
MODEL = "policy"


class Connection:
    """One episode's socket. Its methods are called in one thread at a time."""

    def __init__(self, url: str) -> None:
        zmq: Any = import_module("zmq")
        self.url, self._zmq = url, zmq
        self._socket = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDTIMEO, 1000)  # without a peer it would wait for ever
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)  # an episode does not go on in another server
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self._socket.connect(url)
        self._run = ""
        self.traces: dict[str, dict[str, Any]] = {}

    def check(self) -> None:
        """Ask whether a server answers. Raises EnvironmentFault."""
        self._send("health", {})
        if self._received(HEALTH_SECONDS) is None:
            raise EnvironmentFault(f"{self.url} did not answer in {HEALTH_SECONDS:g} s")

    def run(self, task: Mapping[str, Json], base_url: str) -> None:
        """Begin the episode of a task, whose harness asks for the policy's turns at base_url."""
        client = {"type": "eval", "base_url": base_url, "api_key_var": "ALIGNMENT_NO_KEY"}
        self._run = self._send("run", {"task_data": dict(task), "client": client, "model": MODEL, "sampling": {}})

    def ended(self, seconds: float) -> Mapping[str, Any] | None:
        """The reply that ends the episode, if it comes within so many seconds. Raises EnvironmentFault for a server that is gone."""
        return self._received(seconds)

    def cancel(self) -> None:
        """Ask for the episode's end; of a server that is gone there is none to ask."""
        with contextlib.suppress(EnvironmentFault):
            if self._run:
                self._send("cancel", {"request_id": self._run})

    def close(self) -> None:
        """Close the socket."""
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()

    def _send(self, method: str, payload: Mapping[str, Any]) -> str:
        number = uuid.uuid4().hex
        packed = import_module("msgpack").packb(dict(payload), use_bin_type=True)
        try:
            self._socket.send_multipart([number.encode(), method.encode(), packed])
        except self._zmq.Again as error:
            raise EnvironmentFault(f"{self.url} takes no messages") from error
        return number

    def _received(self, seconds: float) -> Mapping[str, Any] | None:
        """The next reply within so many seconds; deltas before it are taken in."""
        zmq = self._zmq
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while True:
            events = dict(poller.poll(seconds * 1000))
            if self._socket in events:
                _, kind, packed = self._frames()
                if kind == b"reply":
                    return packed
                self._take_in(packed)
            elif self._monitor in events:
                raise EnvironmentFault(f"{self.url} {'ended the session' if self._run else 'cannot be reached'}")
            else:
                return None

    def _frames(self) -> tuple[bytes, bytes, dict[str, Any]]:
        """`(id, kind, content)` of a message. Raises EnvironmentFault for one in another form."""
        frames = self._socket.recv_multipart()
        try:
            number, kind, packed = frames
            content = import_module("msgpack").unpackb(packed, raw=False, strict_map_key=False)
        except (ValueError, TypeError, RecursionError) as error:
            raise EnvironmentFault(f"{self.url} answered in another form than verifiers 0.4 ({error})") from error
        if not isinstance(content, dict):
            raise EnvironmentFault(f"{self.url} answered with {str(content)[:80]}")
        return number, kind, content

    def _take_in(self, delta: Mapping[str, Any]) -> None:
        """What a delta says of a trace: fields that changed, and errors, which are added to."""
        name = str(delta.get("trace"))
        if delta.get("discard"):
            self.traces.pop(name, None)
            return
        trace = self.traces.setdefault(name, {"errors": []})
        changed = delta.get("set")
        if isinstance(changed, dict):
            trace.update({field: changed[field] for field in KEPT if field in changed})
        errors = delta.get("errors")
        if isinstance(errors, list):
            trace["errors"] += errors
