"""What of this machine a jail shows, and the settings with which a zygote starts in it. Every backend asks here."""

import importlib.util
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

from rewards.sandbox.inside.seccomp import is_supported
from rewards.sandbox.policy import Limits

PACKAGES = ("numpy",)  # what programs may import besides the standard library, where this project has it
JAIL_HOME, JAIL_PACKAGES = "/jail", "/jail/packages"
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
NOBODY = "65534"
_START = "import sys; sys.path.insert(0, {home!r}); from inside.{module} import main; main()"
_INSIDE = Path(__file__).parents[1] / "inside"
HOME = str(_INSIDE.parent)  # of what runs inside, where nothing is mounted


def python(module: str, home: str) -> list[str]:
    """The command that runs a module of inside/ with an interpreter that loads nothing else."""
    return [os.path.realpath(sys.executable), "-s", "-S", "-P", "-B", "-c", _START.format(home=home, module=module)]


def settings(limits: Limits, modules: Sequence[str], *, home: str, user: int | None) -> str:
    """A zygote's settings inside mounts of its own, as JSON.

    `home`: where its modules are, which it forgets. `user`: the id it takes; None keeps its own.
    """
    directory = "/tmp"  # noqa: S108  the jail's own
    return _settings(
        limits, modules, isolated=True, home=home, user=user, directory=directory, package_paths=[JAIL_PACKAGES]
    )


def settings_without_mounts(limits: Limits, modules: Sequence[str], directory: str) -> str:
    """A zygote's settings where it sees this machine as it is, as JSON."""
    paths = sorted({str(path.parent) for _, path in _packages()})
    return _settings(limits, modules, isolated=False, home=HOME, user=None, directory=directory, package_paths=paths)


def _settings(limits: Limits, modules: Sequence[str], *, isolated: bool, **where: object) -> str:
    bounds = {name: value for name, value in vars(limits).items() if name not in ("timeout_seconds", "output_bytes")}
    return json.dumps({"isolated": isolated, "mounts": isolated, "modules": list(modules), **where, **bounds})


def fault_of_rights(as_user_namespace: bool) -> str | None:
    """What a jail lacks on this machine, whichever way it is made; None where nothing is seen to be missing."""
    if not as_user_namespace and (os.geteuid() != 0 or spare_user() is None):
        return "it needs root with user ids to spare"
    return None if is_supported() else f"no system call filter has been written for {os.uname().machine}"


def shown() -> list[tuple[str, str]]:
    """`(path here, path in the jail)`: the interpreter, its libraries, the packages and inside/; links are left out."""
    found = [path for path in SYSTEM if os.path.exists(path)]
    found += [os.path.realpath(sys.executable), os.path.join(sys.base_prefix, "lib")]
    pairs = [(path, path) for path in found if not any(path.startswith(f"{other}/") for other in found)]
    for _, package in _packages():
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                pairs.append((str(part), f"{JAIL_PACKAGES}/{part.name}"))
    all_of_them = [*dict.fromkeys(pairs), (str(_INSIDE), f"{JAIL_HOME}/inside")]
    return [pair for pair in all_of_them if not os.path.islink(pair[0])]


def links() -> list[tuple[str, str]]:
    """The system's own links, such as /lib to usr/lib."""
    return [(os.readlink(path), path) for path in SYSTEM if os.path.islink(path)]


def spare_user() -> int | None:
    """A user id that nobody has, so that its processes are counted alone; None where this process has no ids to spare."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    first, _, count = max(ranges, key=lambda one: one[0] + one[2])
    end = min(first + count, 1 << 31)
    return random.randrange(max(first, end - (1 << 28)), end) if count > 1 << 17 else None


def has_module(name: str) -> bool:
    """Whether a program in a jail can import a module: of the standard library, or one of PACKAGES that is here."""
    return name in sys.stdlib_module_names or any(name == package for package, _ in _packages())


def _packages() -> list[tuple[str, Path]]:
    found = [(name, importlib.util.find_spec(name)) for name in PACKAGES]
    return [(name, Path(spec.origin).parent) for name, spec in found if spec is not None and spec.origin]
