"""What holds a process inside the jail: privileges given up for good, resource limits, the system call filter.

zygote.py calls `settle` once, while it may still mount its private /tmp, `hold` when it is warm, and `confine` in every
process that it forks, before any foreign code runs there.
"""

import ctypes
import mmap
import os
import resource
import signal
from typing import Any, NamedTuple

from . import seccomp

_MS_NOSUID, _MS_NODEV, _MS_NOATIME = 2, 4, 1024
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _CLEAR_ALL = 4, 24, 38, 47, 4
_CAPABILITY_VERSION, _MOST_CAPABILITIES = 0x20080522, 64
_FIRST_KERNEL_WITH_OWN_COUNT = (5, 14)  # from here on a user namespace counts its own processes
_HIGHEST_ADDRESS_SPACE_MIB = 1 << 20


class Confinement(NamedTuple):
    """What a forked process is held to beyond what it inherits."""

    most_cpu_seconds: int  # as given to this process, or resource.RLIM_INFINITY
    system_calls: seccomp.Filter | None


def settle(settings: dict[str, Any]) -> None:
    """Mount the private /tmp, then give up every privilege and the user id of root. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if settings["mounts"]:
        options = f"size={settings['files_mib']}m,nr_inodes={settings['files']},mode=1777"
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOATIME
        _check(libc.mount(b"tmpfs", b"/tmp", b"tmpfs", flags, options.encode()), "mounting /tmp")
        for capability in range(_MOST_CAPABILITIES):
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        libc.prctl(_PR_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    if settings["user"] is not None:
        os.setgroups([])
        os.setresgid(settings["user"], settings["user"], settings["user"])
        os.setresuid(settings["user"], settings["user"], settings["user"])
    if settings["mounts"]:
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
        _check(libc.capset(header, (ctypes.c_uint32 * 6)()), "giving up capabilities")
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _check(libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "becoming undumpable")
    # Process 1 of a namespace gets no signal from inside for which it has no handler.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def hold(settings: dict[str, Any]) -> Confinement:
    """Limit the zygote in what its children are to inherit; what is returned is only for them. Raises OSError."""
    counted = settings["user"] is not None or (settings["isolated"] and _kernel() >= _FIRST_KERNEL_WITH_OWN_COUNT)
    limits = {
        resource.RLIMIT_AS: _address_space_in_use() + (settings["memory_mib"] << 20),
        resource.RLIMIT_FSIZE: settings["files_mib"] << 20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: settings["open_files"],
    }
    if counted:
        limits[resource.RLIMIT_NPROC] = settings["threads"] + 2
    for kind, most in limits.items():
        _limit(kind, most)
    most_cpu_seconds = resource.getrlimit(resource.RLIMIT_CPU)[1]
    if not seccomp.is_supported():
        return Confinement(most_cpu_seconds, None)
    own, added = seccomp.filters()
    own.install()
    return Confinement(most_cpu_seconds, added)


def confine(to: Confinement, cpu_seconds: int) -> None:
    """Hold this forked process, for good. Raises OSError."""
    if to.most_cpu_seconds != resource.RLIM_INFINITY:
        cpu_seconds = min(cpu_seconds, to.most_cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    if to.system_calls is not None:
        to.system_calls.install()


def _limit(kind: int, most: int) -> None:
    """Lower a limit for good, unless it is lower already."""
    hardest = resource.getrlimit(kind)[1]
    most = most if hardest == resource.RLIM_INFINITY else min(most, hardest)
    resource.setrlimit(kind, (most, most))


def _address_space_in_use() -> int:
    """Bytes of address space, found by lowering the limit until one more page is refused: there is no /proc here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, _HIGHEST_ADDRESS_SPACE_MIB
    while low < high:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle << 20, hard))
        try:
            mmap.mmap(-1, mmap.PAGESIZE).close()
            high = middle
        except (OSError, MemoryError):
            low = middle + 1
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return low << 20


def _kernel() -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in os.uname().release.split(".")[:2])


def _check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
