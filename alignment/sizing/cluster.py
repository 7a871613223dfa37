"""Devices that recipes run on, with what their data sheets say: `8xH100` on a command line, or this machine's own.

Neighbours: memory.py (how much one has), duration.py (how fast it is).
"""

import re
from dataclasses import dataclass

from alignment.core.errors import OptionError
from alignment.core.machine import devices

GIB = 2**30


@dataclass(frozen=True)
class Device:
    """One device: memory in GiB, dense bfloat16 in TFLOP/s, memory bandwidth in TB/s. A CPU's memory is the machine's."""

    name: str
    memory_gib: float
    tflops: float
    bandwidth_tb: float
    is_gpu: bool = True


# NVIDIA's data sheets: memory less what the driver keeps, dense bfloat16 without sparsity.
DEVICES = {
    one.name: one
    for one in (
        Device("B200", 178, 2250, 7.7),
        Device("H200", 139, 989, 4.8),
        Device("H100", 79, 989, 3.35),
        Device("A100-80", 79, 312, 2.04),
        Device("A100-40", 39, 312, 1.56),
        Device("L40S", 44, 362, 0.86),
        Device("RTX4090", 23.5, 165, 1.01),
        Device("L4", 22, 121, 0.3),
        Device("T4", 14.5, 65, 0.32),
    )
}
_WRITTEN = re.compile(r"(?:(\d+)\s*x\s*)?([A-Za-z][\w-]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Cluster:
    """So many devices of one kind."""

    device: Device
    count: int


def cluster_of(written: str) -> Cluster:
    """From `8xH100` or `RTX4090`. Raises OptionError for a device that is not in the table."""
    found = _WRITTEN.fullmatch(written.strip())
    known = {name.lower(): one for name, one in DEVICES.items()}
    device = known.get(found[2].lower()) if found else None
    if found is None or device is None or found[1] == "0":
        raise OptionError(
            f"--hardware {written}: write a count and a device, as in 8xH100; known: {', '.join(DEVICES)}"
        )
    return Cluster(device, int(found[1] or 1))


def this_machine() -> Cluster | None:
    """This machine's GPUs, if they are in the table; None without them."""
    listed = devices()
    for name, device in DEVICES.items():
        if listed and name.split("-")[0].lower() in listed[0].lower().replace(" ", ""):
            return Cluster(device, len(listed))
    return None
