"""A game server over plain HTTP, in a process of its own: `python guessing_http.py PORT SESSIONS [dies=SCORES]`.

`GET /guess?number=N&guess=G` says higher, lower or right, `GET /score` the same as a number, and `POST /verify` judges a rollout
in NeMo Gym's shape, by the row's `number`; sessions are not counted. With `dies` the process ends after so many scores, as if it were killed.
"""

import itertools
import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COUNT = itertools.count(1)
DIES = int(sys.argv[3].removeprefix("dies=")) if len(sys.argv) > 3 else -1


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        number, guess = (int(parse_qs(asked.query).get(name, ["-1"])[0]) for name in ("number", "guess"))
        said = "right" if guess == number else "higher" if guess < number else "lower"
        self.answer(self.score(said == "right") if asked.path == "/score" else said)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = json.dumps(body["response"]["output"])
        self.answer(json.dumps({"reward": float(self.score(re.search(rf"\b{body['number']}\b", said) is not None))}))

    def score(self, right: bool) -> str:
        if next(COUNT) == DIES:
            os._exit(9)
        return str(float(right))

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
