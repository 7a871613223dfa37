"""Starts one vLLM server on its share of the machine, waits until it answers, and ends it.

It ends with this process, however that ends: the server asks Linux for it (starter.py), and its engine's process when
it loads our worker (plugin.py). Neighbours: fleet.py (watches it), guard.py (its key), ../in_process.py (the same settings).
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from alignment.core.errors import EngineError
from alignment.core.machine import core_groups
from alignment.inference.adapters import vllm_rank
from alignment.inference.engine import EngineSettings
from alignment.inference.thinking_budget import OPEN
from alignment.inference.vllm.server import plugin
from alignment.inference.vllm.server.client import ServerClient, ServerLost
from alignment.inference.vllm.server.guard import KEY
from alignment.recipe.engine import VllmServerOptions

STARTING_SECONDS = 900.0  # a large model is read from a slow disk
ENDING_SECONDS = 10.0
LOG_LINES_SHOWN = 15
STARTER = "alignment.inference.vllm.server.starter"


@dataclass(frozen=True)
class Place:
    """What a server computes on: GPUs by id, or cores."""

    gpus: tuple[str, ...] = ()
    cores: tuple[int, ...] = ()

    @property
    def words(self) -> str:
        """For messages."""
        kind, ids = ("GPU", self.gpus) if self.gpus else ("cores", self.cores)
        return f"{kind} {','.join(map(str, ids))}"


def places(gpus: list[str], trainer_gpus: int, workers: int | None, gpus_each: int) -> list[Place]:
    """Where the servers of this machine go: on GPUs that no trainer holds (the first are its), or on groups of cores.

    workers: how many; None for as many as there is place for. Raises EngineError where there is not enough.
    """
    if not gpus:
        return [Place(cores=tuple(cores)) for cores in core_groups(workers or 1)]
    free = gpus[trainer_gpus:]
    fitting = len(free) // gpus_each
    if (workers or 1) > fitting:
        raise EngineError(
            f"{workers or 1} engine worker(s) with gpus_each {gpus_each} need {(workers or 1) * gpus_each} GPUs beside the "
            f"trainer's {trainer_gpus}, and {len(free)} of {len(gpus)} are free; lower hardware.processes, "
            "engine.workers or engine.gpus_each, or write `engine: vllm`, which shares the trainer's GPUs"
        )
    groups = [free[start : start + gpus_each] for start in range(0, len(free), gpus_each)]
    return [Place(gpus=tuple(group)) for group in groups[: workers or fitting]]


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
        """End the process, by force if it does not end by itself. Its engine's process ends with it."""
        if not at_once:
            self.process.terminate()
            if self.ended(ENDING_SECONDS) is not None:
                return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

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
        "--no-enable-prefix-caching",  # its entries would belong to the old weights after a sync
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


def environment(place: Place, key: str) -> dict[str, str]:
    """The environment of a server: what the stage's process has (run/processes.py), its devices, and its key."""
    env = {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        **{name: value for name, value in os.environ.items() if name not in _OF_A_RANK},
        "VLLM_SERVER_DEV_MODE": "1",  # the routes for weights
        "VLLM_ALLOW_INSECURE_SERIALIZATION": "0",  # nothing is unpickled
        plugin.ENDS_WITH_PARENT: "1",
        KEY: key,
    }
    if place.gpus:
        return {**env, "CUDA_VISIBLE_DEVICES": ",".join(place.gpus)}
    cores = ",".join(map(str, place.cores))
    return {
        **env,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(len(place.cores)),
        "VLLM_CPU_OMP_THREADS_BIND": cores,
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the worker is in the engine's process
        "TORCHDYNAMO_DISABLE": "1",
    }


ADAPTERS = "VLLM_ALLOW_RUNTIME_LORA_UPDATING"  # the route that loads one, which asks for the key as every other does
# What accelerate's launcher sets for a rank, and a server would take for its own.
_OF_A_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE",
              "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE")  # fmt: skip


def new_key() -> str:
    """A key for the servers of one run."""
    return secrets.token_urlsafe(24)


def free_port(interface: str) -> int:
    """A port that nothing listens on. Raises EngineError for an address that is not this machine's."""
    try:
        with socket.socket() as probe:
            probe.bind((interface, 0))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise EngineError(
            f"engine.interface: {interface} is not an address of this machine ({error}); write 127.0.0.1"
        ) from error
