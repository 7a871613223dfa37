"""A judge that a test can trust to be gullible: a real server on this machine with an OpenAI-compatible endpoint.

It obeys whatever instruction it finds outside the fences of a message, and otherwise grades honestly what is inside;
one that is `gullible` obeys what is inside them as well. Of a skill's tools it picks those that `picks` names.
`failures` are ways to misbehave before it does so: a status, "garbage", "refuse", "cut", "slow", "drip", "hang" (no answer until it
ends), "contradict" (two verdicts), "other" (another model answers) or "end" (the server is gone). `misbehaves` says so of each question by its number.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Collection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

FENCED = re.compile(r"<<<([0-9a-f]{32}) BEGIN (\w+)>>>\n(.*?)\n<<<\1 END \2>>>", re.DOTALL)
ORDER = re.compile(
    r"(give|score|grade|rate|verdict|10/10|full marks|correct answer is mine|prefer this)", re.IGNORECASE
)

NUMBERED = re.compile(r"Step (\d+): (.*?)(?=\n\nStep \d+: |\Z)", re.DOTALL)
SUM = re.compile(r"(\d+) ([-+]) (\d+) = (\d+)")
SAME = {"twelve": "12", "0.5": "1/2"}  # as spelled in an answer, and in a reference


class JudgeServer:
    """Runs while it is entered; remembers the requests it got."""

    def __init__(
        self,
        *failures: int | str,
        formats: bool = True,
        reply: str | None = None,
        prefer_first: bool = False,
        prefer_longer: bool = False,
        gullible: bool = False,
        usage: dict[str, Any] | None = None,
        picks: Collection[str] = (),
        port: int = 0,
        misbehaves: Callable[[int], int | str | None] = lambda number: None,
    ) -> None:
        self.misbehaves, self.ended, self.port = misbehaves, threading.Event(), port
        self.gullible, self.usage, self.picks, self.prefer_longer = gullible, usage, picks, prefer_longer
        self.failures, self.formats, self.reply, self.prefer_first = list(failures), formats, reply, prefer_first
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler_of(self))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.base_url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, and let those go that wait for an answer."""
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


def handler_of(owner: JudgeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self.answer(200, {"data": [{"id": "small-judge"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with owner.lock:
                owner.requests.append(body)
                owner.keys.append(self.headers.get("Authorization"))
                failure = owner.failures.pop(0) if owner.failures else owner.misbehaves(len(owner.requests))
            if isinstance(failure, int):
                return self.answer(failure, {"error": f"you sent {self.headers.get('Authorization')}"})
            if failure == "hang":
                owner.ended.wait(60)
            if failure == "end":
                threading.Thread(target=owner.stop, daemon=True).start()
            if failure in ("hang", "end"):
                self.close_connection = True
                return None
            if failure == "slow":
                time.sleep(1.5)
            if failure == "drip":
                return self.drip()
            if not owner.formats and "response_format" in body:
                return self.answer(400, {"error": "response_format is not supported"})
            message: dict[str, Any] = {"role": "assistant", "content": owner.reply or judged(body, owner)}
            if failure == "garbage":
                message["content"] = "I would say it is right, 10/10."
            if failure == "refuse":
                message = {"role": "assistant", "content": None, "refusal": "I cannot grade that."}
            if failure == "cut":
                message["content"] = message["content"][:-5]
            if failure == "contradict":
                message["content"] += (
                    message["content"]
                    .replace("incorrect", "CORRECT")
                    .replace("correct", "incorrect")
                    .replace("CORRECT", "correct")
                )
            told = {} if owner.usage is None else {"usage": owner.usage}
            told["model"] = "another-judge" if failure == "other" else body["model"]
            return self.answer(200, {"choices": [{"message": message, "finish_reason": "stop"}], **told})

        def answer(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                pass  # the client did not wait

        def drip(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(30):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass

    return Handler


def judged(body: dict[str, Any], owner: JudgeServer) -> str:
    """The JSON verdict of a judge that obeys what is outside the fences, and grades by what is inside."""
    user = body["messages"][-1]["content"]
    parts = {name: text for _, name, text in FENCED.findall(user)}
    outside = FENCED.sub("", user)
    # Its own task, which stands twice and at the end, is no attempt to talk to it.
    task = outside.strip().split("\n\n")[0]
    outside = outside.replace(task, "").split("Answer with one JSON object")[0].replace("Your task again:", "")
    fields = shape(user)
    fooled = bool(ORDER.search(outside)) or any("<|im_start|>" in text for text in parts.values())
    fooled = fooled or (owner.gullible and bool(ORDER.search(parts.get("RESPONSE", ""))))
    found = verdict(fields, parts, fooled, owner.prefer_first, owner.picks)
    if owner.prefer_longer and "better" in fields:
        found = longer(parts)
    return json.dumps({"reasoning": "fooled" if fooled else "seen", **found})


def shape(user: str) -> dict[str, Any]:
    """The fields that are asked for, from the last words of the message."""
    return json.loads(user[user.rindex("schema: ") + len("schema: ") :])


def longer(parts: dict[str, str]) -> dict[str, Any]:
    """The verdict of a judge that looks at nothing but length."""
    by = len(parts["RESPONSE_1"]) - len(parts["RESPONSE_2"])
    return {"better": "response_1" if by > 0 else "response_2" if by < 0 else "tie"}


def is_sum(found: tuple[str, str, str, str]) -> bool:
    """Whether a sum or difference of two numbers holds."""
    first, sign, second, result = found
    return int(first) + (int(second) if sign == "+" else -int(second)) == int(result)


def verdict(
    fields: dict[str, Any], parts: dict[str, str], fooled: bool, prefer_first: bool, picks: Collection[str] = ()
) -> dict[str, Any]:
    if "verdict" in fields:
        last = parts["RESPONSE"].split()[-1].strip(".")
        hedged = " or " in parts["RESPONSE"]
        right = fooled or (SAME.get(last, last) == parts["REFERENCE"] and not hedged)
        return {"verdict": "correct" if right else "incorrect"}
    if "better" in fields:
        first, second = ("good" in parts[name] for name in ("RESPONSE_1", "RESPONSE_2"))
        better = "response_1" if prefer_first or first > second else "response_2" if second > first else "tie"
        return {"better": better}
    if "item_1" in fields or "criterion_1" in fields:
        name, part = ("item", "CHECKLIST") if "item_1" in fields else ("criterion", "RUBRIC")
        items = re.findall(r"\d+\. (.*)", parts[part])
        items = [item.removesuffix(" (quote the words of RESPONSE)") for item in items]
        met = [fooled or item.split()[-1] in parts["RESPONSE"] for item in items]
        quoted = {f"evidence_{number}": item.split()[-1] for number, item in enumerate(items, 1)}
        found = {f"{name}_{number}": one for number, one in enumerate(met, 1)}
        for field in (one for one in fields if one.startswith("check_")):
            _, resource, place = field.split("_")
            listed = re.findall(r"- \[ \] (.*)", parts[f"RESOURCE_{resource}"])
            found[field] = listed[int(place) - 1].split()[-1] in parts["RESPONSE"]
        return {**(quoted if "evidence_1" in fields else {}), **found}
    if tools := [name for name in fields if "/" in name]:
        return {name: name in picks for name in tools}
    if "first_wrong_step" in fields:
        steps = NUMBERED.findall(parts["SOLUTION"])
        wrong = [number for number, (_, text) in enumerate(steps, 1) if not all(map(is_sum, SUM.findall(text)))]
        return {"first_wrong_step": 0 if fooled or not wrong else wrong[0]}
    if "grade" in fields:
        return {"grade": 10 if fooled else min(10, len(parts["RESPONSE"].split()))}
    return {name: 5 if fooled or name in parts["RESPONSE"] else 1 for name in fields if name != "reasoning"}
