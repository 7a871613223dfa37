"""The command of a vLLM server that judges: chat completions under a name of its own. Imports neither torch nor vLLM.

It takes no weights, so it has neither the routes nor the sampling of a rollout server. Neighbours: launch.py (a rollout
server's command), place.py (its devices and environment), run/judges/served.py (starts, watches and ends it).
"""

import sys
from dataclasses import dataclass

from alignment.inference.vllm.server.place import Place
from alignment.recipe.blocks.engine import VllmServerOptions


@dataclass(frozen=True)
class JudgeModel:
    """A model that judges. name: what it is served as; max_tokens: of a question and its reply together."""

    name: str
    model: str
    max_tokens: int
    options: VllmServerOptions
    trust_remote_code: bool = False


def judge_command(judge: JudgeModel, place: Place, port: int) -> list[str]:
    """vLLM's OpenAI-compatible server for a judge, on the interface of its options."""
    options, on_cpu = judge.options, not place.gpus
    worker = f"alignment.inference.vllm.server.{'cpu' if on_cpu else 'gpu'}_worker.JudgeWorker"
    asked = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        "--model", judge.model,
        "--served-model-name", judge.name,
        "--dtype", options.resolved_dtype(on_gpu=not on_cpu),
        "--max-model-len", str(judge.max_tokens),
        "--max-num-seqs", str(options.max_sequences),
        "--host", options.interface,
        "--port", str(port),
        "--worker-cls", worker,  # ends with the server
        "--generation-config", "vllm",  # the model's own sampling settings are not a judge's
        "--middleware", "alignment.inference.vllm.server.guard.KeyOnEveryRoute",
        "--disable-uvicorn-access-log", "--disable-log-stats",
    ]  # fmt: skip
    if on_cpu:
        asked += ["--enforce-eager", "--no-enable-chunked-prefill", "--no-enable-prefix-caching"]
    else:
        asked += ["--gpu-memory-utilization", str(options.gpu_memory_fraction)]
        asked += ["--tensor-parallel-size", str(len(place.gpus))]
    return asked + (["--trust-remote-code"] if judge.trust_remote_code else [])
