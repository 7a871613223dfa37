"""Ways to make a jail: bubblewrap, the same by our own system calls, and, only when asked for by name, none.

jail.py runs the command that a backend gives. `choose` takes the first that works here, by starting a jail with it, and
otherwise refuses: model code is never run without isolation in silence.
"""

import importlib.util
import json
import os
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewards.sandbox.inside.seccomp import is_supported
from rewards.sandbox.policy import ISOLATIONS, Isolation, IsolationUnavailable, Limits

PACKAGES = ("numpy",)  # what programs may import besides the standard library, where this project has it
JAIL_HOME, JAIL_PACKAGES = "/jail", "/jail/packages"
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
MEND = (
    "Install bubblewrap (apt-get install bubblewrap, or dnf install bubblewrap), and allow user namespaces: sysctl "
    "kernel.unprivileged_userns_clone=1 on older Debian, kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu 24.04, "
    "--security-opt seccomp=unconfined or --privileged for a container. `alignment doctor` says what is missing. "
    "Writing `isolation: none` runs model code with your rights: only for programs that you have read."
)
_START = "import sys; sys.path.insert(0, {home!r}); from inside.{module} import main; main()"
_INSIDE = Path(__file__).parent / "inside"
_NOBODY = "65534"


@dataclass(frozen=True)
class Backend:
    """One way to make a jail. `as_user_namespace`: in one of its own, instead of by the rights of root."""

    name: Isolation
    as_user_namespace: bool = True

    def problem(self) -> str | None:
        """Why it cannot work here, as far as can be seen without trying; None when it may."""
        if self.name == "bubblewrap" and shutil.which("bwrap") is None:
            return "bwrap is not installed"
        if not self.as_user_namespace and (os.geteuid() != 0 or _spare_user() is None):
            return "it needs root with user ids to spare"
        if self.name != "none" and not is_supported():
            return f"no system call filter has been written for {os.uname().machine}"
        return None

    def command(self, limits: Limits, control: int, directory: str, modules: Sequence[str] = ()) -> list[str]:
        """The command that starts a zygote on a control descriptor.

        `directory`: private files where nothing is mounted. `modules`: to import beforehand, beside those of zygote.py.
        """
        settings = self._settings(limits, directory, modules)
        python = [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B", "-c"]
        arguments = [str(control), json.dumps(settings)]
        if self.name == "bubblewrap":
            return [*self._bubblewrap(), *python, _START.format(home=JAIL_HOME, module="zygote"), *arguments]
        home = str(_INSIDE.parent)
        if self.name == "none":
            return [*python, _START.format(home=home, module="zygote"), *arguments]
        plan = {
            "binds": [pair for pair in _visible() if not os.path.islink(pair[0])],
            "links": _links(),
            "devices": DEVICES,
            "user_namespace": self.as_user_namespace,
        }
        return [*python, _START.format(home=home, module="launcher"), *arguments, json.dumps(plan)]

    def _settings(self, limits: Limits, directory: str, modules: Sequence[str]) -> dict[str, Any]:
        isolated = self.name != "none"
        return {
            "isolated": isolated,
            "mounts": isolated,
            "user": None if self.as_user_namespace else _spare_user(),
            "directory": "/tmp" if isolated else directory,  # noqa: S108  the jail's own
            "home": JAIL_HOME if self.name == "bubblewrap" else str(_INSIDE.parent),
            "modules": list(modules),
            "package_paths": [JAIL_PACKAGES] if isolated else sorted({str(path.parent) for _, path in _packages()}),
            **{name: value for name, value in vars(limits).items() if name not in ("timeout_seconds", "output_bytes")},
        }

    def _bubblewrap(self) -> list[str]:
        rights = ["CAP_SYS_ADMIN"]  # given up by the zygote as soon as it has mounted its private /tmp
        command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        if self.as_user_namespace:
            command += ["--unshare-user", "--uid", _NOBODY, "--gid", _NOBODY]
        else:
            rights += ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
        command += ["--hostname", "jail", "--as-pid-1", "--cap-drop", "ALL"]
        for right in rights:
            command += ["--cap-add", right]
        shown = [pair for pair in _visible() if not os.path.islink(pair[0])]
        places = [*(place for _, place in shown), *DEVICES, "/tmp/any"]  # noqa: S108  the jail's own
        for directory in sorted({str(parent) for place in places for parent in Path(place).parents} - {"/"}):
            command += ["--dir", directory]  # made for all to enter; those that bubblewrap makes by itself are not
        for source, destination in shown:
            command += ["--ro-bind", source, destination]
        for target, path in _links():
            command += ["--symlink", target, path]
        for device in DEVICES:
            command += ["--dev-bind", device, device]
        return [*command, "--remount-ro", "/", "--chdir", "/", "--"]


def candidates(isolation: Isolation) -> list[Backend]:
    """The backends that a name stands for, in the order in which they are tried."""
    if isolation not in ISOLATIONS:
        raise ValueError(f"isolation must be one of {', '.join(ISOLATIONS)}, not {isolation!r}")
    if isolation == "none":
        return [Backend("none")]
    names: list[Isolation] = ["bubblewrap", "namespaces"] if isolation == "auto" else [isolation]
    return [Backend(name, as_user_namespace) for name in names for as_user_namespace in (False, True)]


def choose(isolation: Isolation, attempt: Callable[[Backend], str | None]) -> Backend:
    """The first backend that can be started; `attempt` gives the reason why one cannot. Raises IsolationUnavailable."""
    if sys.platform != "linux":
        raise IsolationUnavailable(f"programs can be run in isolation on Linux only, not on {sys.platform}. {MEND}")
    failed = []
    for backend in candidates(isolation):
        problem = backend.problem() or attempt(backend)
        if problem is None:
            return backend
        failed.append(f"{backend.name}{' in a user namespace' if backend.as_user_namespace else ' as root'}: {problem}")
    raise IsolationUnavailable(
        f"no program was run, because nothing here can isolate one ({'; '.join(failed)}). {MEND}"
    )


def _visible() -> list[tuple[str, str]]:
    """What of this machine the jail shows, and where: the interpreter, its libraries, the packages and inside/."""
    shown = [path for path in SYSTEM if os.path.exists(path)]
    shown += [os.path.realpath(sys.executable), os.path.join(sys.base_prefix, "lib")]
    pairs = [(path, path) for path in shown if not any(path.startswith(f"{other}/") for other in shown)]
    for _, package in _packages():
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                pairs.append((str(part), f"{JAIL_PACKAGES}/{part.name}"))
    return [*dict.fromkeys(pairs), (str(_INSIDE), f"{JAIL_HOME}/inside")]


def _links() -> list[tuple[str, str]]:
    """The system's own links, such as /lib to usr/lib."""
    return [(os.readlink(path), path) for path in SYSTEM if os.path.islink(path)]


def _packages() -> list[tuple[str, Path]]:
    found = [(name, importlib.util.find_spec(name)) for name in PACKAGES]
    return [(name, Path(spec.origin).parent) for name, spec in found if spec is not None and spec.origin]


def _spare_user() -> int | None:
    """A user id that nobody has, so that its processes are counted alone; None where this process has no ids to spare."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    first, _, count = max(ranges, key=lambda one: one[0] + one[2])
    end = min(first + count, 1 << 31)
    return random.randrange(max(first, end - (1 << 28)), end) if count > 1 << 17 else None
