"""Serves a verifiers v1 taskset, and writes its rows: run by a Python that has the package `verifiers`, which this project does not need.

    PYTHON alignment/rollout/environments/verifiers_v1/outside.py serve TASKSET tcp://127.0.0.1:5000 [HARNESS]
    PYTHON alignment/rollout/environments/verifiers_v1/outside.py rows TASKSET [COUNT] > rows.jsonl

The harness is `null` unless named, and its program runs on this machine (the runtime `subprocess`). Neighbour: episode.py.
"""

import itertools
import json
import sys
from importlib import import_module
from typing import Any


def serve(taskset: str, address: str, harness: str = "null") -> None:
    """Serve a taskset until it is ended."""
    agent = {"harness": {"id": harness}, "runtime": {"type": "subprocess"}}
    config = {"taskset": {"id": taskset}, "agent": agent}
    import_module("verifiers.v1.serve").serve_env(max_workers=1, address=address, config_data=config)


def rows(taskset: str, count: str = "0") -> None:
    """Print a taskset's tasks as rows of a source; count: how many, 0 for all."""
    loaders, configs = import_module("verifiers.v1"), import_module("verifiers.v1.utils.loaders")
    env = configs.resolve_env_config({"taskset": {"id": taskset}, "agent": {"runtime": {"type": "subprocess"}}})
    tasks = iter(loaders.load_taskset(env.taskset))
    for task in itertools.islice(tasks, int(count) or None):
        data: dict[str, Any] = task.data.model_dump(mode="json")
        print(json.dumps({"question": _question(data), "answer": str(data.get("answer") or ""), "task": data}))


def _question(data: dict[str, Any]) -> str:
    """The prompt as text, which names the row; the policy sees what the harness asks."""
    prompt = data.get("prompt")
    if isinstance(prompt, list):
        prompt = "\n\n".join(str(one.get("content") or "") for one in prompt if isinstance(one, dict))
    return str(prompt or data.get("name") or data.get("id") or f"task {data.get('idx')}")


if __name__ == "__main__":
    (serve if sys.argv[1] == "serve" else rows)(*sys.argv[2:])
