"""vLLM's completions route on a transformers model, for tests of a teacher behind a server."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

KEY = "teachers-own"


class Teacher:
    """vLLM's completions route on a transformers model. `says` changes its answers; `failing` is how often it is not there."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.asked: list[dict[str, Any]] = []
        self.failing, self.says = 0, lambda reply: reply

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        ids = body["prompt"]
        with torch.no_grad():
            logprobs_TV = self.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        places: list[Any] = [None]
        for token, row_V in zip(ids[1:], logprobs_TV, strict=False):
            likely = row_V.topk(min(body["prompt_logprobs"], len(row_V))).indices.tolist()
            places.append({str(one): {"logprob": float(row_V[one])} for one in dict.fromkeys([*likely, token])})
        return self.says({"choices": [{"prompt_logprobs": places}]})


@contextmanager
def served(folder: Path) -> Iterator[tuple[Teacher, str]]:
    """The teacher in a folder at a base URL of this machine."""
    teacher, lock = Teacher(folder), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                status, said = 200, teacher.answer(body) if self.path == "/v1/completions" else {}
                if self.headers["Authorization"] != f"Bearer {KEY}":
                    status = 401
                elif teacher.failing:
                    status, teacher.failing = 503, teacher.failing - 1
            raw = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield teacher, f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
