"""Asks for the server's key on every route. vLLM itself asks on some, and not on those that load weights or call methods.

vLLM loads `KeyOnEveryRoute` by name (`--middleware`). Neighbour: launch.py (sets the key).
"""

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

KEY = "VLLM_API_KEY"  # vLLM's own variable: its routes then ask for the same key
OPEN_ROUTES = ("/health",)
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class KeyOnEveryRoute:
    """ASGI middleware: answers 401 to a request that does not carry the key of the environment as its bearer token."""

    def __init__(self, app: App) -> None:
        self._app, self._expected = app, f"Bearer {os.environ[KEY]}".encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_ROUTES:
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if scope["type"] == "http" and hmac.compare_digest(given, self._expected):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"error": "this server asks for its key"}'})
        else:
            await send({"type": "websocket.close", "code": 1008})
