"""A double of a judge: a server that answers by a rule and not by a model, so that a rehearsal on a CPU has all but the model.

    python -m alignment.run.judges.double NAME INTERFACE PORT        the key is in the environment, as vLLM's is

It judges against a reference alone: a response is right if its `\\boxed{}` holds the reference's number, and no other box of it
holds another. It has the routes of an OpenAI-compatible server that a judge is asked on. `model: double` under `judges` names it, and
whatever names it says that it is a double. Neighbours: served.py (starts, watches and ends it), recipe/blocks/judges.py.
"""

import hmac
import json
import os
import re
import sys
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alignment.inference.vllm.server.guard import KEY, OPEN_ROUTES

LARGEST_QUESTION_BYTES = 2_000_000
_FENCED = re.compile(r"<<<([0-9a-f]{32}) BEGIN (\w+)>>>\n(.*?)\n<<<\1 END \2>>>", re.DOTALL)
_BOX = re.compile(r"\\boxed\{([^{}]{0,80})\}")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def verdict(question: str) -> str | None:
    """The verdict on what stands in a question's fences, as the form `reference` asks for it; None where it is of another."""
    parts = {name: text for _, name, text in _FENCED.findall(question)}
    if "REFERENCE" not in parts or "RESPONSE" not in parts:
        return None
    expected = _numbers(parts["REFERENCE"])
    found = {number for box in _BOX.findall(parts["RESPONSE"]) for number in _numbers(box)}
    if len(expected) != 1:
        return json.dumps({"reasoning": "The reference is not one number.", "verdict": "cannot_tell"})
    right = found == expected
    said = (
        f"A rule compared boxed {', '.join(sorted(map(str, found))) or 'nothing'} with {', '.join(map(str, expected))}."
    )
    return json.dumps({"reasoning": said, "verdict": "correct" if right else "incorrect"})


def _numbers(text: str) -> set[Decimal]:
    return set(map(_number, _NUMBER.findall(text)))


def _number(text: str) -> Decimal:
    try:
        return Decimal(text.replace(",", "")).normalize()
    except InvalidOperation:
        return Decimal("NaN")  # equal to nothing


class _Handler(BaseHTTPRequestHandler):
    """The routes: /health, /v1/models and /v1/chat/completions. name: what the double is served as."""

    name = ""

    def log_message(self, *_: object) -> None:
        """Quiet: the log is for what goes wrong."""

    def do_GET(self) -> None:
        """Whether it is there, and what it is called."""
        if self.path in OPEN_ROUTES:
            self._answer(200, {})
        elif self._may_ask():
            self._answer(200, {"data": [{"id": self.name, "owned_by": "double"}]})

    def do_POST(self) -> None:
        """A chat completion whose content is the verdict."""
        if not self._may_ask():
            return
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= LARGEST_QUESTION_BYTES:
            self._answer(413, {"error": "too long"})
            return
        try:
            body = json.loads(self.rfile.read(length))
            asked, question = body["model"], str(body["messages"][-1]["content"])
        except (ValueError, KeyError, IndexError, TypeError):
            self._answer(400, {"error": "not a chat completion's request"})
            return
        if asked != self.name:
            self._answer(404, {"error": f"this server has no model {str(asked)[:80]!r}"})
            return
        found = verdict(question)
        said = found or "This double judges against a reference alone."
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        self._answer(200, {"object": "chat.completion", "model": self.name, "choices": [choice]})

    def _may_ask(self) -> bool:
        expected, given = f"Bearer {os.environ[KEY]}", self.headers.get("Authorization") or ""
        allowed = hmac.compare_digest(expected.encode(), given.encode("latin-1", "replace"))
        if not allowed:
            self._answer(401, {"error": "this server asks for its key"})
        return allowed

    def _answer(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            pass  # whoever asked did not wait


def main(name: str, interface: str, port: str) -> None:
    """Serve until the process is ended."""
    handler = type("Handler", (_Handler,), {"name": name})
    ThreadingHTTPServer((interface, int(port)), handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:4])
