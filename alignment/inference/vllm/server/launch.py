"""Starts one vLLM server on its share of the machine, waits until it answers, and ends it.

It ends with this process, however that ends: the server asks Linux for it (starter.py), and its engine's process when
it loads our worker (plugin.py). Neighbours: place.py (its devices), fleet.py (watches it), guard.py (its key),
../in_process.py.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

from alignment.core.errors import EngineError
from alignment.core.process import end_session
from alignment.inference.adapters import vllm_rank
from alignment.inference.engine import EngineSettings
from alignment.inference.thinking_budget import OPEN
from alignment.inference.vllm.prefix_cache import keeps_prefixes
from alignment.inference.vllm.server import plugin
from alignment.inference.vllm.server.client import ServerClient, ServerLost
from alignment.inference.vllm.server.place import STARTER, Place, environment, free_port
from alignment.recipe.blocks.engine import VllmServerOptions

STARTING_SECONDS = 900.0  # a large model is read from a slow disk
ENDING_SECONDS = 10.0
LOG_LINES_SHOWN = 15


ADAPTERS = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"  # the route that loads one, which asks for the key as every other does


class LaunchedServer:
    """A server's process. Its log stays where it is if the server fails."""

    def __init__(self, settings: EngineSettings, place: Place, key: str, log: Path) -> None:
        options = cast(VllmServerOptions, settings.options)
        self.address = f"http://{options.interface}:{free_port(options.interface)}"
        self.log, self._key = log, key
        starter = [sys.executable, "-m", STARTER, ",".join(map(str, place.cores))]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *starter,
                    *command(settings, place),
                    "--host",
                    options.interface,
                    "--port",
                    self.address.rpartition(":")[2],
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(place, key) | ({} if settings.adapter is None else {ADAPTERS: "1"}),
                start_new_session=True,  # with its engine, so that both can be ended
            )

    def wait(self) -> ServerClient:
        """A client, once the server answers. Raises EngineError with the end of its log if it does not start."""
        client, until = ServerClient(self.address, self._key), time.monotonic() + STARTING_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise EngineError(
                    f"an engine worker at {self.address} {self.ended(0)} while it started; {self._said()}"
                )
            try:
                client.ask("GET", "/health", timeout=5)
                return client
            except ServerLost:
                time.sleep(0.2)
        raise EngineError(
            f"an engine worker at {self.address} did not start in {STARTING_SECONDS:.0f} s; {self._said()}"
        )

    def ended(self, seconds: float) -> str | None:
        """How the process ended, if it does within so many seconds."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return f"was killed by signal {-status}" if status < 0 else f"ended with status {status}; {self._said()}"

    def end(self, *, at_once: bool = False) -> None:
        """End the server and its engine, by force if they do not end by themselves; also the engine of a server that was killed."""
        end_session(self.process, 0 if at_once else ENDING_SECONDS)

    def _said(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return f"the end of its log, {self.log}:\n" + "\n".join(lines)


def command(settings: EngineSettings, place: Place) -> list[str]:
    """vLLM's server for these settings, without its address."""
    options = cast(VllmServerOptions, settings.options)
    on_cpu = not place.gpus
    worker = f"alignment.inference.vllm.server.{'cpu' if on_cpu else 'gpu'}_worker.RolloutWorker"
    asked = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server",
        "--model", settings.model,
        "--dtype", options.resolved_dtype(on_gpu=not on_cpu),
        "--max-model-len", str(settings.max_length),
        "--max-num-seqs", str(options.max_sequences),
        "--enable-prefix-caching" if keeps_prefixes(settings.model, settings) else "--no-enable-prefix-caching",
        "--enable-scale-out",  # token ids in and out
        "--weight-transfer-config", json.dumps({"backend": plugin.BACKEND}),
        "--worker-cls", worker,
        "--middleware", "alignment.inference.vllm.server.guard.KeyOnEveryRoute",
        "--disable-uvicorn-access-log", "--disable-log-stats",
    ]  # fmt: skip
    if on_cpu:  # as ../in_process.py
        asked += ["--enforce-eager", "--no-enable-chunked-prefill"]
    else:
        asked += [
            "--gpu-memory-utilization",
            str(options.gpu_memory_fraction),
            "--tensor-parallel-size",
            str(len(place.gpus)),
        ]
    if settings.adapter is not None:
        rank = vllm_rank(settings.adapter.to_dict())
        asked += ["--enable-lora", "--max-lora-rank", str(rank), "--max-loras", "1", "--max-cpu-loras", "1"]
    if settings.trust_remote_code:
        asked += ["--trust-remote-code"]
    if settings.thinking is not None:
        ends = {"reasoning_start_str": OPEN, "reasoning_end_str": settings.thinking.stop_text}
        asked += ["--reasoning-config", json.dumps(ends)]
    return asked
