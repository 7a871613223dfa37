"""ASGI middleware in front of vLLM: resolves mode and thinking budget of chat completions; passes on everything else.

vLLM loads `ThinkingRequests` by name (`--middleware`), so there is one process and one port. Neighbours: requests.py
(mode and budget of a request), probing.py (the adaptive budget of a prompt), asgi.py, command.py (writes the settings
into the environment).
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from alignment.evaluation.adaptive_budget.budget import load_adaptive
from alignment.serve.asgi import (
    App,
    InternalClient,
    InternalRequestRefused,
    Message,
    Receive,
    Send,
    refuse,
    replayed,
    whole_body,
    with_length,
)
from alignment.serve.probing import adaptive_budget
from alignment.serve.requests import BadRequest, ResolvedRequest, resolve

SETTINGS = "ALIGNMENT_SERVER"  # the environment variable that carries them from command.py
PATH = "/v1/chat/completions"
BUDGET_HEADER = b"x-thinking-budget"


@dataclass(frozen=True)
class ServerSettings:
    """Settings of the middleware. native_budget: use vLLM's own budget in place of budget_processor.py."""

    native_budget: bool
    budget: int | None = None  # tokens, for requests that set none
    adaptive: str | None = None  # path of adaptive.json, which sets it for each prompt

    def as_text(self) -> str:
        """As JSON, for the environment variable."""
        return json.dumps(asdict(self))


class ThinkingRequests:
    """ASGI middleware: resolves mode and budget of chat completions, and returns the budget in a header."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._settings = ServerSettings(**json.loads(os.environ[SETTINGS]))
        path = self._settings.adaptive
        self._adaptive = None if path is None else load_adaptive(Path(path))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        raw = await whole_body(receive)
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        if not isinstance(body, dict):  # vLLM answers with the error
            await self._app(scope, replayed(raw, receive), send)
            return
        try:
            request = resolve(body)
            budget = await self._budget(request, InternalClient(self._app, scope, receive))
        except BadRequest as error:
            await refuse(send, str(error))
            return
        except InternalRequestRefused as error:
            for message in error.messages:
                await send(message)
            return
        await self._answer(request, budget, scope, receive, send)

    async def _budget(self, request: ResolvedRequest, client: InternalClient) -> int | None:
        """The request's own budget, else the adaptive one, else the server's."""
        if request.mode == "non_thinking":
            return None
        if request.budget is None and self._adaptive is not None:
            return await adaptive_budget(self._adaptive, request.body, client)
        return self._settings.budget if request.budget is None else request.budget

    async def _answer(
        self, request: ResolvedRequest, budget: int | None, scope: Message, receive: Receive, send: Send
    ) -> None:
        raw = json.dumps(request.as_sent(budget, native=self._settings.native_budget)).encode()
        added = [] if budget is None else [(BUDGET_HEADER, str(budget).encode())]

        async def send_with_budget(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self._app(with_length(scope, raw), replayed(raw, receive), send_with_budget)
