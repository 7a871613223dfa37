"""ASGI building blocks of the middleware: reading and replaying bodies, refusals, and internal requests.

ASGI is the interface between a Python web server and an application (asgi.readthedocs.io): an application is called
with a scope, a `receive` and a `send`. Neighbours: middleware.py, probing.py.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def with_length(scope: Message, body: bytes) -> Message:
    """Copy a request's scope with the content length of its new body."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}


async def whole_body(receive: Receive) -> bytes:
    """Read the whole body, which may come in pieces; what came so far if the client disconnects."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body", False))
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body first and then the client's own messages: vLLM listens for a disconnect."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


async def refuse(send: Send, message: str) -> None:
    """Answer with status 400, in the error format of the OpenAI API."""
    error = {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error).encode()})


class InternalRequestRefused(Exception):
    """The application answered an internal request with an error; `messages` is that answer, to be sent to the client."""

    def __init__(self, messages: Sequence[Message]) -> None:
        super().__init__()
        self.messages = messages


@dataclass(frozen=True)
class InternalClient:
    """Sends requests to the application itself, without a socket, with the headers (and API key) of a client's request."""

    app: App
    scope: Message
    receive: Receive

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post JSON and return the JSON object of the answer. Raises InternalRequestRefused if its status is not 200."""
        raw, said = json.dumps(body).encode(), []

        async def collect(message: Message) -> None:
            said.append(message)

        scope = {
            **with_length(self.scope, raw),
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "state": {},
        }
        await self.app(scope, replayed(raw, self.receive), collect)
        if not said or said[0].get("status") != 200:
            raise InternalRequestRefused(said)
        found: dict[str, Any] = json.loads(b"".join(message.get("body", b"") for message in said))
        return found
