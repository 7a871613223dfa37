"""Ways to make a jail: bubblewrap, the same by our own system calls, and, only when asked for by name, none.

protocol.py says what each of them has to do. `choose` takes the first that works here, by starting a jail with it, and
otherwise refuses: model code is never run without isolation in silence.
"""

import sys
from collections.abc import Callable

from rewards.sandbox.backends.bubblewrap import Bubblewrap
from rewards.sandbox.backends.namespaces import Namespaces
from rewards.sandbox.backends.protocol import Backend
from rewards.sandbox.backends.unisolated import Unisolated
from rewards.sandbox.backends.visible import PACKAGES, has_module
from rewards.sandbox.policy import ISOLATIONS, Isolation, IsolationUnavailable

__all__ = ["PACKAGES", "Backend", "candidates", "choose", "has_module"]

ADVICE = (
    "Install bubblewrap (apt-get install bubblewrap, or dnf install bubblewrap), and allow user namespaces: sysctl "
    "kernel.unprivileged_userns_clone=1 on older Debian, kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu 24.04, "
    "--security-opt seccomp=unconfined or --privileged for a container. `alignment doctor` says what is missing. "
    "Writing `isolation: none` runs model code with your rights: only for programs that you have read."
)


def candidates(isolation: Isolation) -> list[Backend]:
    """The backends that a name stands for, in the order in which they are tried. Raises ValueError for another name."""
    if isolation not in ISOLATIONS:
        raise ValueError(f"isolation must be one of {', '.join(ISOLATIONS)}, not {isolation!r}")
    if isolation == "none":
        return [Unisolated()]
    bubblewrap: list[Backend] = [Bubblewrap(as_user_namespace) for as_user_namespace in (False, True)]
    namespaces: list[Backend] = [Namespaces(as_user_namespace) for as_user_namespace in (False, True)]
    return {"auto": bubblewrap + namespaces, "bubblewrap": bubblewrap, "namespaces": namespaces}[isolation]


def choose(isolation: Isolation, attempt: Callable[[Backend], str | None]) -> Backend:
    """The first backend that can be started; `attempt` gives the reason why one cannot. Raises IsolationUnavailable."""
    if sys.platform != "linux":
        raise IsolationUnavailable(f"programs can be run in isolation on Linux only, not on {sys.platform}. {ADVICE}")
    failed = []
    for backend in candidates(isolation):
        fault = backend.fault() or attempt(backend)
        if fault is None:
            return backend
        failed.append(f"{backend.described}: {fault}")
    raise IsolationUnavailable(
        f"no program was run, because nothing here can isolate one ({'; '.join(failed)}). {ADVICE}"
    )
