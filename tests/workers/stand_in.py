"""A server that speaks the routes of vLLM that the pool uses, on a real transformers engine, and that fails when it is told to.

For tests of what the pool does with servers that hang, fail, lie or die; test_vllm_servers.py has vLLM's own.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from alignment.core.resources import resource
from alignment.inference.engine import EngineSettings, Generation, GenerationRequest, SamplingSettings, in_order
from alignment.inference.thinking_budget import ThinkTokens
from alignment.inference.transformers.engine import TransformersEngine
from alignment.inference.weights.arrivals import Arrivals
from alignment.inference.weights.blocks import tensors
from alignment.recipe.blocks.engine import engine_options
from alignment.recipe.blocks.sampling import ThinkingBudget

BASE = str(resource("data/base"))
TOKENS = ThinkTokens(open_id=20, close_id=21, stop_text="", stop_ids=(30, 21, 31))
LONGEST, AT_ONCE = 256, 4


@dataclass(eq=False)
class _Waiting:
    """A completion that is asked for, and once it is made."""

    request: GenerationRequest
    how: SamplingSettings
    made: Generation | None = None


def settings(**options: Any) -> EngineSettings:
    """Of an engine on the embedded model with budgets."""
    name = options.pop("type", "transformers")
    return EngineSettings(BASE, LONGEST, (2,), 0, engine_options(name, dtype="float32", **options), thinking=TOKENS)


class StandIn:
    """One server. `fault`: hang, fail, lie, garble or die (connections end without an answer), from the next request on; `served` counts completions.

    token_seconds: set, completions are given token by token in so much time each, and ended by a pause, as vLLM ends them.
    holds_after: with token_seconds, completions beyond so many stay at their first token until the next pause.
    """

    def __init__(self, key: str = "", host: str = "127.0.0.1") -> None:
        self.token_seconds, self._pauses, self._running = 0.0, 0, threading.Event()
        self.holds_after, self._held_pauses = 10**9, -1
        self._running.set()
        self.fault, self.served, self.version, self.key = "", 0, "default", key
        self.after = 10**9  # completions after which the fault begins
        self._planted = ""
        self._engine, self._lock, self._arrivals = TransformersEngine(settings()), threading.Lock(), Arrivals()
        self._door, self._waiting = threading.Lock(), list[_Waiting]()
        self._blocks: list[dict[str, Any]] = []
        self.released = threading.Event()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            """Answers by `StandIn.answer`."""

            protocol_version = "HTTP/1.1"
            timeout = 3  # of an idle connection, so that its thread ends

            def do_GET(self) -> None:
                self._reply({})

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self._reply(json.loads(raw) if raw else {})

            def log_message(self, *_: Any) -> None:
                pass

            def _reply(self, body: dict[str, Any]) -> None:
                refused = stand_in.key and self.headers.get("Authorization") != f"Bearer {stand_in.key}"
                status, said = (401, {"error": "no key"}) if refused else stand_in.answer(self.path, body)
                if stand_in.fault == "die":
                    self.close_connection = True
                    return
                raw = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                try:
                    self.wfile.write(raw)
                except OSError:
                    self.close_connection = True  # whoever asked has given up

        class Listener(ThreadingHTTPServer):
            """Takes as many connections at once as a server's clients open."""

            request_queue_size = 128

        self.listener = Listener((host, 0), Handler)
        self.listener.daemon_threads = False  # one that computes while the interpreter ends would abort it
        self.address = f"http://{host}:{self.listener.server_address[1]}"
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def plant(self, fault: str, after: int = 0) -> None:
        """Let a fault begin after so many more completions."""
        self._planted, self.after = fault, self.served + after
        if not after:
            self.fault = fault

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body for a request."""
        if self.fault == "hang":
            self.released.wait(60)
        if self.fault == "fail":
            return 500, {"error": "the engine is dead"}
        if path == "/weight_info":
            return 200, {"weight_version": "another-7" if self.fault == "lie" else self.version}
        if path == "/inference/v1/generate":
            return 200, self._by_token(body) if self.token_seconds else self._generated(body)
        if path.startswith("/pause"):
            self._pauses += 1
            self._running.clear()
        if path == "/resume":
            self._running.set()
        if path == "/update_weights":
            self._blocks.append(body["update_info"])
        if path == "/finish_weight_update":
            self._load(body["weight_version"])
        return 200, {}

    def _by_token(self, body: dict[str, Any]) -> dict[str, Any]:
        """A completion that is given token after token, until its end or a pause; a paused server begins none."""
        if "prompt_logprobs" in body["sampling_params"]:
            return self._generated(body)
        begun = self._pauses
        while not self._running.wait(0.01) and self._pauses == begun:
            pass
        whole: dict[str, Any] = (
            {"token_ids": [], "logprobs": {"content": []}}
            if self._pauses > begun
            else self._generated(body)["choices"][0]
        )
        if self.served > self.holds_after and self._held_pauses < 0:
            self._held_pauses = begun
        given = 0
        while given < len(whole["token_ids"]) and self._pauses == begun:
            self.released.wait(self.token_seconds)
            given += given == 0 or begun != self._held_pauses
        if (self._pauses > begun and given < len(whole["token_ids"])) or not whole["token_ids"]:
            logprobs = {"content": whole["logprobs"]["content"][:given]}
            whole = {"token_ids": whole["token_ids"][:given], "logprobs": logprobs, "finish_reason": "abort"}
        return {"choices": [whole]}

    def close(self) -> None:
        self._running.set()
        self.released.set()
        self.listener.shutdown()
        self.listener.server_close()

    def _load(self, version: str) -> None:
        with self._lock:
            for told in self._blocks:
                table = told.pop("table")
                self._engine.load_weights(tensors(table, self._arrivals.block(**told)))
            self._blocks, self.version = [], version

    def _generated(self, body: dict[str, Any]) -> dict[str, Any]:
        asked = body["sampling_params"]
        with self._lock:
            if "prompt_logprobs" in asked:
                scores = self._engine.logprobs([body["token_ids"]])[0]
                placed = zip(body["token_ids"][1:], scores, strict=True)
                return {"choices": [], "prompt_logprobs": [None, *({str(t): {"logprob": s}} for t, s in placed)]}
        budget = asked["thinking_token_budget"]
        request = GenerationRequest(
            body["token_ids"],
            "thinking",
            None if budget >= LONGEST or self.fault == "garble" else ThinkingBudget(most=budget),
            asked["max_tokens"],
            asked["seed"],
        )
        how = SamplingSettings(asked["temperature"], asked["top_p"], max(0, asked["top_k"]))
        made = self._sampled(request, how)
        content = [{"logprob": one} for one in made.logprobs]
        reason = "stop" if made.stop_reason == "end" else "length"
        choice = {"token_ids": made.token_ids, "logprobs": {"content": content}, "finish_reason": reason}
        return {"choices": [choice]}

    def _sampled(self, request: GenerationRequest, how: SamplingSettings) -> Generation:
        """Its completion. Who gets the engine samples for those who wait for it as well, as a server does."""
        mine = _Waiting(request, how)
        with self._door:
            self._waiting.append(mine)
        with self._lock:
            if mine.made is None:
                with self._door:
                    together = [mine, *(one for one in self._waiting if one is not mine and one.how == how)][:AT_ONCE]
                    self._waiting = [one for one in self._waiting if one not in together]
                found = in_order(self._engine.generate([one.request for one in together], how))
                for one, completion in zip(together, found, strict=True):
                    one.made = completion
                self.served += len(together)
                if self.served >= self.after:
                    self.fault = self._planted
        assert mine.made is not None
        return mine.made


@contextmanager
def stand_ins(count: int, key: str = "") -> Iterator[list[StandIn]]:
    """So many servers, closed afterwards."""
    servers = [StandIn(key) for _ in range(count)]
    try:
        yield servers
    finally:
        for server in servers:
            server.close()
