"""Makes a jail without bubblewrap: namespaces and mounts by system calls, then the warm interpreter in this process.

backends/ starts it where bubblewrap is missing. The result is the same: nothing of the machine is mounted but the
interpreter, its libraries and four devices, all read-only; there is no network, and zygote.py is process 1.
"""

import ctypes
import json
import os
import sys
from typing import Any

from . import zygote

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MNT_DETACH = 442, -100, 0x8000, 2
_READ_ONLY, _NO_SETUID, _NO_DEVICES = 1, 2, 4
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_ROOT = "/tmp"  # noqa: S108  a directory that every machine has, covered in the new mount namespace only
_NOBODY = 65534

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Arguments: the control descriptor, the zygote's settings, and the plan, both as JSON."""
    plan: dict[str, Any] = json.loads(sys.argv[3])
    _enter_namespaces(plan["user_namespace"])
    process_id = os.fork()
    if process_id:
        os.close(int(sys.argv[1]))
        os.waitpid(process_id, 0)
        os._exit(0)
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    sources = [os.open(source, os.O_PATH) for source, _ in plan["binds"]]
    devices = [os.open(device, os.O_PATH) for device in plan["devices"]]
    _mount("tmpfs", _ROOT, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,nr_inodes=4096,mode=755")
    os.umask(0o022)
    for source, (_, destination) in zip(sources, plan["binds"], strict=True):
        _bind(source, destination, read_only=True)
    for device, destination in zip(devices, plan["devices"], strict=True):
        _bind(device, destination, read_only=False)
    for target, path in plan["links"]:
        os.makedirs(os.path.dirname(_ROOT + path), exist_ok=True)
        os.symlink(target, _ROOT + path)
    os.makedirs(_ROOT + "/tmp", exist_ok=True)  # noqa: S108  the jail's own
    for descriptor in (*sources, *devices):
        os.close(descriptor)
    os.chdir(_ROOT)
    _check(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "leaving the old root")
    os.chdir("/")
    _restrict("/", _READ_ONLY | _NO_SETUID, recursive=False)
    zygote.main()


def _enter_namespaces(user_namespace: bool) -> None:
    user, group = os.geteuid(), os.getegid()
    kinds = _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET | _NEWCGROUP | (_NEWUSER if user_namespace else 0)
    _check(_libc.unshare(kinds), "unshare")
    if user_namespace:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{_NOBODY} {user} 1"),
            ("gid_map", f"{_NOBODY} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def _bind(source: int, destination: str, read_only: bool) -> None:
    target, origin = _ROOT + destination, f"/proc/self/fd/{source}"
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.isdir(origin):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(origin, target, None, _MS_BIND | _MS_REC)
    _restrict(target, (_READ_ONLY | _NO_DEVICES if read_only else 0) | _NO_SETUID, recursive=True)


def _restrict(path: str, attributes: int, recursive: bool) -> None:
    request = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    done = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, ctypes.byref(request), ctypes.sizeof(request))
    _check(done, f"making {path} read-only")


def _mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    done = _libc.mount(
        source.encode(), target.encode(), None if kind is None else kind.encode(), flags, options.encode()
    )
    _check(done, f"mounting {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        raise SystemExit(f"{what}: {os.strerror(ctypes.get_errno())}")
