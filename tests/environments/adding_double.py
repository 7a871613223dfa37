"""A double of a verifiers v1 environment server: `python adding_double.py PORT [dies=TURNS] [dies_held=TURNS]`.

Its tasks are those of adding_verifiers.py. Made from verifiers 0.4's verifiers/v1/serve/server.py and delta.py: ZMQ frames
[client, id, method, msgpack], methods `health`, `run` and `cancel`, frames `delta` and `reply`. Its harness asks the endpoint that
`run` names, as the package's `null` harness does, in a stream. `rewrites` in a task forgets the conversation after a call, as a
harness does that compacts. With `dies` the process ends at that turn of episodes whose task has `trained`, with `dies_held` of
the others, as if it were killed then.
"""

import itertools
import json
import os
import re
import sys
import threading
from typing import Any

import httpx
import msgpack
import zmq

TOOL = {"type": "function", "function": {"name": "add", "description": "Add two numbers.", "parameters": {"type": "object", "properties": {"one": {"type": "integer"}, "two": {"type": "integer"}}, "required": ["one", "two"]}}}  # fmt: skip


COUNTS = {trained: itertools.count(1) for trained in (True, False)}
LAST: dict[bool, int] = {}  # the turn of trained episodes, and of others, at which the process ends


def streamed(client: httpx.Client, url: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message of a chat request."""
    body = {"model": "policy", "stream": True, "messages": messages, "tools": [TOOL]}
    found: dict[str, Any] = {}
    with client.stream("POST", f"{url}/chat/completions", json=body, timeout=60) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line.removeprefix("data: "))["choices"]:
                    found |= choice["delta"]
    return found


def played(request: dict[str, Any]) -> dict[str, Any]:
    """The trace of one episode: its rewards, or its error."""
    task, url = request["task_data"], request["client"]["base_url"]
    messages = [{"role": "user", "content": task["prompt"]}]
    try:
        with httpx.Client(trust_env=False) as client:
            while True:
                made, own = streamed(client, url, messages), bool(task.get("trained"))
                if next(COUNTS[own]) == LAST.get(own):
                    os._exit(9)
                messages.append(made)
                if not made.get("tool_calls"):
                    break
                for call in made["tool_calls"]:
                    asked = json.loads(call["function"]["arguments"])
                    told = str(asked["one"] + asked["two"])
                    messages.append({"role": "tool", "tool_call_id": call["id"], "content": told})
                if task.get("rewrites"):
                    messages = [{"role": "user", "content": "Go on."}]
    except httpx.HTTPError as error:
        return {"errors": [{"type": "ProviderError", "message": str(error)}], "set": {"rewards": {}, "ok": False}}
    right = re.search(rf"\b{task['one'] + task['two']}\b", str(messages[-1]["content"])) is not None
    return {"set": {"rewards": {"told": {"score": float(right), "weight": 1.0}}, "ok": True}}


def main(port: int) -> None:
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.PULL)
    front.bind(f"tcp://127.0.0.1:{port}")
    back.bind("inproc://done")

    def run(client: bytes, number: bytes, request: dict[str, Any]) -> None:
        trace = {"trace": "t", "open": {}, **played(request)}
        done = context.socket(zmq.PUSH)
        done.connect("inproc://done")
        done.send_multipart([client, number, b"delta", msgpack.packb(trace)])
        reply = {"success": True, "error": None, "head": {"errors": []}, "traces": [{"id": "t"}]}
        done.send_multipart([client, number, b"reply", msgpack.packb(reply)])
        done.close()

    poller = zmq.Poller()
    poller.register(front, zmq.POLLIN)
    poller.register(back, zmq.POLLIN)
    while True:
        ready = dict(poller.poll())
        if back in ready:
            front.send_multipart(back.recv_multipart())
        if front in ready:
            client, number, method, payload = front.recv_multipart()
            if method == b"run":
                asked = (client, number, msgpack.unpackb(payload))
                threading.Thread(target=run, args=asked, daemon=True).start()
            else:
                front.send_multipart([client, number, b"reply", msgpack.packb({"success": True, "error": None})])


if __name__ == "__main__":
    options = dict(one.split("=") for one in sys.argv[2:])
    LAST |= {own: int(options[name]) for own, name in ((True, "dies"), (False, "dies_held")) if name in options}
    main(int(sys.argv[1]))
