"""A double of a NeMo Gym resources server, in a process of its own.

    python guessing_gym.py PORT SESSIONS [dies=EPISODES] [dies_held=EPISODES]

The game of guessing_double.py with its state on the server: the number comes with `/seed_session`, `/guess` says higher, lower or
right, and `/verify` rewards who was told "right". A session is known by its cookie alone; SESSIONS is not looked at. A guess of 666
is a tool's own error; number 15 is masked. With `dies` the process ends when that many episodes of rows that have `trained` ask for
their verdict, with `dies_held` of the others, as if it were killed then.
"""

import itertools
import json
import os
import sys
import uuid
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GAMES: dict[str, dict[str, int]] = {}
VERDICTS = {trained: itertools.count(1) for trained in (True, False)}
LAST: dict[bool, int] = {}  # the verdict of trained episodes, and of others, at which the process ends


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.answer(200, {"status": "healthy"}, "")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kept = SimpleCookie(self.headers.get("Cookie", "")).get("game")
        session = kept.value if kept else str(uuid.uuid4())  # as NeMo Gym: who has no cookie has a session of its own
        game = GAMES.setdefault(session, {"number": -1, "right": 0})
        if self.path == "/seed_session":
            assert body["responses_create_params"]["input"][0]["role"] == "user"
            game["number"] = body["number"]
            self.answer(200, {}, session)
        elif self.path == "/guess" and body.get("number") == 666:
            self.answer(500, {"error": "the tool broke"}, session)
        elif self.path == "/guess":
            guess, number = body["number"], game["number"]
            game["right"] = max(game["right"], int(guess == number))
            said = "right" if guess == number else "higher" if guess < number else "lower"
            self.answer(200, {"number": guess, "said": said}, session)
        elif self.path == "/verify":
            own = bool(body.get("trained"))
            if next(VERDICTS[own]) == LAST.get(own):
                os._exit(9)
            calls = [one for one in body["response"]["output"] if one["type"] == "function_call"]
            outputs = [one for one in body["response"]["output"] if one["type"] == "function_call_output"]
            assert [one["call_id"] for one in calls] == [one["call_id"] for one in outputs]
            masked = {"mask_sample": True} if body["number"] == 15 else {}
            self.answer(200, {"reward": float(game["right"]), **masked}, session)
        else:
            self.answer(404, {"detail": "Not Found"}, session)

    def answer(self, status: int, value: object, session: str) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if session:
            self.send_header("Set-Cookie", f"game={session}; Path=/; HttpOnly; SameSite=lax")
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    options = dict(one.split("=") for one in sys.argv[3:])
    LAST |= {own: int(options[name]) for own, name in ((True, "dies"), (False, "dies_held")) if name in options}
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
