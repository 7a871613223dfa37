"""A resources server in NeMo Gym's shape, on this machine: POST /verify compares a boxed answer, as `string_match` does.

Made for these tests: NeMo Gym itself needs Python 3.13.14 and Ray. A body whose `response` OpenAI's own types refuse, or whose
row lacks a text `expected_answer`, is answered with 422, as FastAPI answers there. `failures` are ways to misbehave before that:
a status, "slow", "garbage", "nan", "mask" or "list".
"""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from openai.types.responses import Response
from pydantic import ValidationError

BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


class VerifyServer:
    """Runs while it is entered; remembers the bodies it got."""

    def __init__(self, *failures: int | str) -> None:
        self.failures, self.bodies, self.keys = list(failures), list[dict[str, Any]](), list[str | None]()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def handler_of(owner: VerifyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with owner.lock:
                owner.bodies.append(body)
                owner.keys.append(self.headers.get("Authorization"))
                failure = owner.failures.pop(0) if owner.failures else None
            if self.path != "/verify":
                return self.answer(404, "{}")
            if isinstance(failure, int):
                return self.answer(failure, json.dumps({"detail": "Internal Server Error"}))
            if failure == "slow":
                time.sleep(1.5)
            status, found = verified(body)
            if failure == "mask":
                masked = {
                    "reward": 0.0,
                    "mask_sample": True,
                    "failure_kind": "judge_failed",
                    "failure_reason": "no judge",
                }
                found = {**body, **masked}
            replies = {"garbage": "<html>", "list": "[1.0]", "nan": '{"reward": NaN}'}
            return self.answer(status, replies.get(str(failure)) or json.dumps(found))

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            try:
                self.wfile.write(text.encode())
            except OSError:
                pass  # the client did not wait

    return Handler


def verified(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Status and reply: the body with its reward."""
    expected = body.get("expected_answer")
    try:
        made = Response.model_validate(body["response"])
    except (KeyError, ValidationError) as error:
        return 422, {"detail": str(error)}
    if not isinstance(expected, str) or not body["responses_create_params"]["input"]:
        return 422, {"detail": "expected_answer: input should be a valid string"}
    texts = [
        part.text
        for item in made.output
        if item.type == "message"
        for part in item.content
        if part.type == "output_text"
    ]
    boxes = BOXED.findall("\n".join(texts))
    return 200, {**body, "reward": float(bool(boxes) and boxes[-1] == expected), "extracted_answer": boxes[-1:]}
