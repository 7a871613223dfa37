"""A double of an OpenEnv server: its WebSocket protocol on the environment of guessing_openenv.py, without the package.

    python guessing_double.py PORT SESSIONS [mcp | text] [dies=STEPS] [dies_held=STEPS]

Made from OpenEnv 0.10's openenv/core/env_server/http_server.py: one session for each connection, `reset`, `step`, `state`, `mcp` and
`close`, errors with a code, GET /health and /schema. With `text` an action is a text, in which the first number is the guess; with
`dies` the process ends at that step of episodes whose row has `trained`, with `dies_held` of the others, as if it were killed then.
"""

import itertools
import json
import os
import re
import sys
import threading
from http import HTTPStatus
from typing import Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

SCHEMA = {
    "action": {
        "description": "Guess the number.",
        "type": "object",
        "properties": {"metadata": {"type": "object"}, "guess": {"type": "integer", "description": "The number."}},
        "required": ["guess"],
    }
}
TOOL = {"name": "guess", "description": "Guess the number.", "inputSchema": {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}}  # fmt: skip


class Session:
    """One episode."""

    def __init__(self, form: str) -> None:
        self.mcp, self.text, self.number, self.steps = form == "mcp", form == "text", 0, 0
        self.trained = False

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """The reply to a message."""
        kind, data = message.get("type"), message.get("data") or {}
        if kind == "reset":
            self.number, self.steps, self.trained = int(data.get("number", 0)), 0, bool(data.get("trained"))
            return observation({} if self.mcp else {"message": "I think of a number."}, None, done=False)
        if kind == "state":
            return {"type": "state", "data": {"episode_id": None, "step_count": self.steps}}
        if kind == "mcp":
            listed: dict[str, Any] = {"result": {"tools": [TOOL]}} if self.mcp else {"error": {"message": "no MCP"}}
            return {"type": "mcp", "data": {"jsonrpc": "2.0", "id": 1, **listed}}
        if kind != "step":
            return error("UNKNOWN_TYPE", f"Unknown message type: {kind}")
        self.steps += 1
        guess = data.get("arguments", {}).get("number") if self.mcp else data.get("guess")
        if self.text:
            found = re.search(r"\d+", str(data.get("message")))
            guess = int(found[0]) if found else -1
        if not isinstance(guess, int):
            wrong = {"loc": ["guess"], "msg": "Input should be a valid integer"}
            return {
                "type": "error",
                "data": {"code": "VALIDATION_ERROR", "message": "Invalid message", "errors": [wrong]},
            }
        if guess == 666:
            return error("EXECUTION_ERROR", "the environment broke")
        said = "right" if guess == self.number else "higher" if guess < self.number else "lower"
        if self.mcp:
            return observation({"tool_name": "guess", "result": said, "error": None}, None, done=False)
        return observation({"message": said}, float(said == "right"), done=said == "right")


def observation(found: dict[str, Any], reward: float | None, *, done: bool) -> dict[str, Any]:
    return {"type": "observation", "data": {"observation": {**found, "metadata": {}}, "reward": reward, "done": done}}


def error(code: str, message: str) -> dict[str, Any]:
    return {"type": "error", "data": {"code": code, "message": message}}


def page(connection: ServerConnection, request: Request) -> Response | None:
    """What is no WebSocket."""
    pages = {"/health": {"status": "healthy"}, "/schema": SCHEMA}
    if request.path not in pages:
        return None
    body = json.dumps(pages[request.path]).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
    return Response(HTTPStatus.OK, "OK", headers, body)


def main(port: int, sessions: int, form: str, last: dict[bool, int]) -> None:
    """last: the step of trained episodes, and of others, at which the process ends."""
    counts = {trained: itertools.count(1) for trained in (True, False)}
    free = threading.Semaphore(sessions)

    def serving(connection: ServerConnection) -> None:
        if not free.acquire(blocking=False):
            connection.send(json.dumps(error("CAPACITY_REACHED", f"{sessions} sessions are the most")))
            return
        session = Session(form)
        try:
            for raw in connection:
                message = json.loads(raw)
                own = session.trained
                if message.get("type") == "step" and next(counts[own]) == last[own]:
                    os._exit(9)
                if message.get("type") == "close":
                    break
                connection.send(json.dumps(session.answer(message)))
        except ConnectionClosed:
            pass
        finally:
            free.release()

    with serve(serving, "127.0.0.1", port, process_request=page) as server:
        server.serve_forever()


if __name__ == "__main__":
    options = dict(one.split("=") for one in sys.argv[3:] if "=" in one)
    forms = [one for one in sys.argv[3:] if "=" not in one]
    dies = {trained: int(options.get(name, -1)) for trained, name in ((True, "dies"), (False, "dies_held"))}
    main(int(sys.argv[1]), int(sys.argv[2]), forms[0] if forms else "act", dies)
