"""The policy as the harness of an environment sees it: an OpenAI-compatible endpoint on loopback, whose answers come from the sampler.

Each episode has a path of its own, which nobody else can guess. A request waits until its turn is sampled, and is answered as a
stream if it asked for one. Neighbours: episode.py (takes requests, gives answers), ../calls.py (reads a turn's calls).
"""

import contextlib
import json
import queue
import secrets
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alignment.core.typed_json import Json
from alignment.data.rows import Message

LARGEST_REQUEST_BYTES = 10_000_000
ROUTE = "/v1/chat/completions"


class Asked:
    """One request of a harness: its messages and tools, until it has an answer."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self._done = threading.Event()
        self._answer: tuple[Mapping[str, Any], str] | None = None

    def answer(self, turn: Message, *, cut_off: bool = False) -> None:
        """Answer with a turn of the policy, without its thinking. cut_off: the policy had no tokens or turns left."""
        calls = [
            {
                "id": f"call_{place}_{secrets.token_hex(4)}",
                "type": "function",
                "function": {
                    "name": one["function"]["name"],
                    "arguments": json.dumps(one["function"]["arguments"], ensure_ascii=False),
                },
            }
            for place, one in enumerate(turn.get("tool_calls") or ())
        ]
        message = {"role": "assistant", "content": str(turn.get("content") or "")}
        reason = "length" if cut_off else "tool_calls" if calls else "stop"
        self._answer = ({**message, "tool_calls": calls} if calls else message, reason)
        self._done.set()

    def give_up(self) -> None:
        """Let the request go without an answer: its rollout has ended."""
        self._done.set()

    def waited(self) -> tuple[Mapping[str, Any], str] | None:
        """The answer as a chat message and its finish reason, once there is one; None where it was given up."""
        self._done.wait()
        return self._answer


class Policy:
    """The endpoint. `opened` makes an episode's path; `close` ends it all."""

    def __init__(self) -> None:
        self._mailboxes: dict[str, queue.SimpleQueue[Asked]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self._mailboxes))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="policy", daemon=True).start()

    def opened(self) -> tuple[str, str, "queue.SimpleQueue[Asked]"]:
        """An episode's secret, its base URL, and where its requests arrive."""
        secret, mailbox = secrets.token_urlsafe(24), queue.SimpleQueue[Asked]()
        self._mailboxes[secret] = mailbox
        return secret, f"http://127.0.0.1:{self._server.server_address[1]}/{secret}/v1", mailbox

    def closed(self, secret: str) -> None:
        """Take no more requests of an episode, and let those go that wait."""
        mailbox = self._mailboxes.pop(secret, None)
        with contextlib.suppress(queue.Empty):
            while mailbox is not None:
                mailbox.get_nowait().give_up()

    def close(self) -> None:
        """End the endpoint."""
        for secret in list(self._mailboxes):
            self.closed(secret)
        self._server.shutdown()
        self._server.server_close()


def _handler_of(mailboxes: "Mapping[str, queue.SimpleQueue[Asked]]") -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            """Hand a chat request to its episode, wait for the policy's turn, and answer with it."""
            secret = self.path.removesuffix(ROUTE).strip("/")
            mailbox, length = mailboxes.get(secret), int(self.headers.get("Content-Length") or 0)
            if not self.path.endswith(ROUTE) or mailbox is None or length > LARGEST_REQUEST_BYTES:
                return self._send(404, "application/json", b'{"error": {"message": "there is no such episode"}}')
            try:
                body = json.loads(self.rfile.read(length))
            except (ValueError, RecursionError):
                body = None
            if not isinstance(body, dict):
                return self._send(400, "application/json", b'{"error": {"message": "not a JSON object"}}')
            asked = Asked(body)
            mailbox.put(asked)
            found = asked.waited()
            if found is None:
                return self._send(410, "application/json", b'{"error": {"message": "the rollout has ended"}}')
            if body.get("stream"):
                return self._send(200, "text/event-stream", _streamed(*found))
            return self._send(200, "application/json", json.dumps(_whole(*found)).encode())

        def _send(self, status: int, kind: str, content: bytes) -> None:
            with contextlib.suppress(OSError):  # the harness did not wait
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("x-should-retry", "false")  # OpenAI's clients would ask again
                self.end_headers()
                self.wfile.write(content)

    return Handler


def _whole(message: Mapping[str, Any], reason: str) -> dict[str, Json]:
    """A chat completion. Tokens are counted by the trainer, not here."""
    choice: Json = {"index": 0, "message": dict(message), "finish_reason": reason}
    return {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE}


def _streamed(message: Mapping[str, Any], reason: str) -> bytes:
    """The same as server-sent events: the message in one piece, its end, and usage."""
    calls = [{"index": place, **call} for place, call in enumerate(message.get("tool_calls") or ())]
    delta = {**message, "tool_calls": calls} if calls else dict(message)
    head = {**_HEAD, "object": "chat.completion.chunk"}
    events = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]},
        {**head, "choices": [], "usage": _USAGE},
    ]
    return b"".join(f"data: {json.dumps(one)}\n\n".encode() for one in events) + b"data: [DONE]\n\n"


_HEAD: dict[str, Json] = {"id": "turn", "created": 0, "model": "policy"}
_USAGE: dict[str, Json] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
