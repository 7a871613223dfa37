"""The environment of a stage's or an evaluation's process: what is preloaded, its threads, its devices, its network interface.

It sets the allocator and OpenMP library that a CPU run preloads (vLLM is 8 times faster with them), threads per process,
telemetry off, hub off if nothing has to be downloaded, and vLLM's cache. Neighbours: processes.py (starts them).
"""

import os
import socket
import sys
from pathlib import Path

from alignment.core.errors import StageFailed
from alignment.core.machine import cores, others_running, visible_gpus
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.launcher import Placement, launcher_config

BUSY = 0.25  # threads of other processes for each core, above which a machine does other work
_TCMALLOC = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
_LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


def preloads() -> tuple[list[str], list[str]]:
    """(paths of the libraries that a CPU run preloads, names of the missing ones)."""
    found: list[str] = []
    missing: list[str] = []
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    (found if openmp.exists() else missing).append(str(openmp) if openmp.exists() else "libiomp5")
    bundled = [str(path) for path in Path(sys.prefix).glob("lib/python*/site-packages/vllm/libs/libtcmalloc*.so*")]
    system = [f"{folder}/{name}" for folder in _LIBRARY_FOLDERS for name in _TCMALLOC if Path(folder, name).exists()]
    if bundled or system:
        found.append((bundled + system)[0])
    else:
        missing.append("libtcmalloc")
    return found, missing


def environment(
    hardware: Hardware, *, offline: bool, place: Placement | None = None, large: bool = False
) -> dict[str, str]:
    """The environment of a stage's or an evaluation's process; what the user has set already wins.

    But a launcher config for CPUs hides the GPUs whatever is set outside, so that training and engines agree on the
    device. place: of this machine among several, whose ranks then talk through the network interface that faces the first.
    large: whether the model is known to be no tiny one.
    """
    hidden = launcher_config(hardware).hides_gpus
    on_cpu = hidden or not visible_gpus()
    wanted = {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        # Warnings of imported modules are not about this run; errors are still shown.
        "PYTHONWARNINGS": "ignore::SyntaxWarning,ignore::FutureWarning,ignore::DeprecationWarning",
    }
    if offline:
        wanted |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    if on_cpu:
        wanted |= {
            "OMP_NUM_THREADS": str(max(1, cores() * (place.machines if place else 1) // hardware.processes)),
            # Unasked, Intel's OpenMP binds each thread of a fork to one core, the main threads of all forks to the first.
            "OMP_PROC_BIND": "false",
            "VLLM_CPU_KVCACHE_SPACE": "1",
            # The engine runs eagerly on a CPU. vLLM would still compile a part of its sampler, which needs a C++ compiler
            # and, uncached, most of a minute.
            "TORCHDYNAMO_DISABLE": "1",
            "LD_PRELOAD": ":".join(preloads()[0]),
            **waiting_threads(0.0 if large else others_running(), large=large),
        }
    if place is not None:
        wanted |= interfaces(hardware, place)
    # accelerate numbers the CPU of each rank, and torch knows no `cpu:0` when a checkpoint's optimizer is read.
    no_gpu = {"CUDA_VISIBLE_DEVICES": "", "DS_ACCELERATOR": "cpu", "ACCELERATE_TORCH_DEVICE": "cpu"} if on_cpu else {}
    return {**wanted, **os.environ, **no_gpu}


def waiting_threads(others: float, *, large: bool = False) -> dict[str, str]:
    """What OpenMP's threads do while they wait for each other. others: threads of other processes that compute now.

    They spin, which is a third faster for a small model on a machine with nothing else to do. Beside other work, those that
    compute then wait for those that spin: three times as slow, at times ten. There they sleep; so they do for a model whose
    matrices take longer than a thread takes to wake up, since its hours may meet other work later.
    """
    return {"OMP_WAIT_POLICY": "PASSIVE"} if others > BUSY * cores() or large else {}


def interfaces(hardware: Hardware, place: Placement) -> dict[str, str]:
    """The network interface that the ranks of several machines talk through.

    gloo, which also carries what ranks agree on before NCCL, takes the address of the machine's own name, which is often
    127.0.0.1. So it gets the interface that the first machine is reached by. NCCL finds its own unless the recipe names one.
    """
    named = hardware.interface
    if named is None and "GLOO_SOCKET_IFNAME" in os.environ:
        return {}
    found = {"GLOO_SOCKET_IFNAME": named or facing(place.address)}
    return {**found, "NCCL_SOCKET_IFNAME": named} if named else found


def facing(address: str) -> str:
    """The network interface by which this machine reaches an address. Raises StageFailed if there is none."""
    import psutil  # comes with accelerate

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.connect((address, 9))  # sends nothing
            own = line.getsockname()[0]
    except OSError as error:
        raise StageFailed(
            f"this machine does not reach the first one at {address} ({error.strerror or error})"
        ) from error
    named = (name for name, held in psutil.net_if_addrs().items() if any(one.address == own for one in held))
    found = None if own.startswith("127.") and not address.startswith("127.") else next(named, None)
    if found is None:
        raise StageFailed(
            f"`{address}` is {own} on this machine, where the ranks of other machines do not reach it; write the first machine's "
            "address under --hosts in place of its name, or `interface` under hardware"
        )
    return found
