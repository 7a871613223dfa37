"""What stands between a client and vLLM: modes and budgets are settled, everything else passes as it came.

vLLM loads `ThinkingRequests` by name (`--middleware`) and puts it in front of its own application, so that there is one
process and one port. Only chat completions are touched. Neighbours: requests.py (what a request asks for), command.py
(writes the settings into the environment).
"""

import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

from alignment.server.requests import BadRequest, Settled, settle

SETTINGS = "ALIGNMENT_SERVER"  # the environment variable that carries them from command.py
PATH = "/v1/chat/completions"
BUDGET_HEADER = b"x-thinking-budget"
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


@dataclass(frozen=True)
class ServerSettings:
    """What the middleware has to know; native_budget: vLLM's own budget is used in place of budget_processor.py."""

    native_budget: bool
    budget: int | None = None  # of requests that have none

    def as_text(self) -> str:
        return json.dumps(asdict(self))


class ThinkingRequests:
    """ASGI middleware: settles mode and budget of chat completions and says in a header which budget was in force."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._settings = ServerSettings(**json.loads(os.environ[SETTINGS]))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        raw = await whole_body(receive)
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):  # vLLM says what is wrong with it
            await self._app(scope, replayed(raw, receive), send)
            return
        try:
            settled = settle(body)
        except BadRequest as error:
            await refuse(send, str(error))
            return
        await self._answer(settled, scope, receive, send)

    async def _answer(self, settled: Settled, scope: Message, receive: Receive, send: Send) -> None:
        budget = self._settings.budget if settled.budget is None else settled.budget
        raw = json.dumps(settled.as_sent(budget, native=self._settings.native_budget)).encode()
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        told = [] if budget is None or settled.mode == "non_thinking" else [(BUDGET_HEADER, str(budget).encode())]

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *told]}
            await send(message)

        changed = {**scope, "headers": [*headers, (b"content-length", str(len(raw)).encode())]}
        await self._app(changed, replayed(raw, receive), send_told)


async def whole_body(receive: Receive) -> bytes:
    """The request's body, which may come in pieces; what came so far if the client has gone."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body", False))
    return body


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives this body first, and then what the client does: vLLM listens for its going away."""
    given = False

    async def once_more() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once_more


async def refuse(send: Send, says: str) -> None:
    """Answer with status 400 in the form that OpenAI clients read."""
    error = {"error": {"message": says, "type": "BadRequestError", "param": None, "code": 400}}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error).encode()})
