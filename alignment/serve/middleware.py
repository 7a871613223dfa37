"""What stands between a client and vLLM: modes and budgets are settled, everything else passes as it came.

vLLM loads `ThinkingRequests` by name (`--middleware`) and puts it in front of its own application, so that there is one
process and one port. Only chat completions are touched. Neighbours: requests.py (what a request asks for), probing.py
(the budget of a prompt), asgi.py, command.py (writes the settings into the environment).
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from alignment.evaluation.adaptive_budget.budget import load_adaptive
from alignment.serve.asgi import (
    App,
    Inside,
    Message,
    Receive,
    Refused,
    Send,
    refuse,
    replayed,
    whole_body,
    with_length,
)
from alignment.serve.probing import adaptive_budget
from alignment.serve.requests import BadRequest, Settled, settle

SETTINGS = "ALIGNMENT_SERVER"  # the environment variable that carries them from command.py
PATH = "/v1/chat/completions"
BUDGET_HEADER = b"x-thinking-budget"


@dataclass(frozen=True)
class ServerSettings:
    """What the middleware has to know; native_budget: vLLM's own budget is used in place of budget_processor.py."""

    native_budget: bool
    budget: int | None = None  # of requests that have none
    adaptive: str | None = None  # the file that decides it for each prompt

    def as_text(self) -> str:
        return json.dumps(asdict(self))


class ThinkingRequests:
    """ASGI middleware: settles mode and budget of chat completions and says in a header which budget was in force."""

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
        if not isinstance(body, dict):  # vLLM says what is wrong with it
            await self._app(scope, replayed(raw, receive), send)
            return
        try:
            settled = settle(body)
            budget = await self._budget(settled, Inside(self._app, scope, receive))
        except BadRequest as error:
            await refuse(send, str(error))
            return
        except Refused as error:
            for message in error.messages:
                await send(message)
            return
        await self._answer(settled, budget, scope, receive, send)

    async def _budget(self, settled: Settled, inside: Inside) -> int | None:
        """The request's own budget, or else the server's, if it has one."""
        if settled.mode == "non_thinking":
            return None
        if settled.budget is None and self._adaptive is not None:
            return await adaptive_budget(self._adaptive, settled.body, inside)
        return self._settings.budget if settled.budget is None else settled.budget

    async def _answer(self, settled: Settled, budget: int | None, scope: Message, receive: Receive, send: Send) -> None:
        raw = json.dumps(settled.as_sent(budget, native=self._settings.native_budget)).encode()
        told = [] if budget is None else [(BUDGET_HEADER, str(budget).encode())]

        async def send_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *told]}
            await send(message)

        await self._app(with_length(scope, raw), replayed(raw, receive), send_told)
