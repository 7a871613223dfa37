"""Where a vLLM server computes, and the environment in which its process starts. Imports neither torch nor vLLM.

Neighbours: launch.py (servers of a pool), judge.py (the server of a judge), starter.py (becomes one).
"""

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from alignment.core.errors import EngineError
from alignment.core.machine import core_groups
from alignment.inference.vllm.server import plugin
from alignment.inference.vllm.server.guard import KEY

STARTER = "alignment.inference.vllm.server.starter"
# What accelerate's launcher sets for a rank, and a server would take for its own.
_OF_A_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE",
              "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE")  # fmt: skip


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


def environment(place: Place, key: str, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a server: what the stage's process has (run/process_environment.py), its devices, and its key."""
    env = {
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        **{name: value for name, value in inherited.items() if name not in _OF_A_RANK},
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
