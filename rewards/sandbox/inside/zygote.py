"""The warm interpreter: process 1 of a jail, which forks one process per program and ends everything when it is over.

jail.py starts it and speaks to it over a control socket: an order to run arrives with the descriptors of a fresh
channel, so that this process never reads a program and its children inherit nothing of one another. When the control
socket closes, because the judge is gone, it exits, and the kernel ends all that is left of the jail.
"""

import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
from typing import Any

from . import candidate, confine, examiner, wire

PRELOADED = (
    "abc", "array", "bisect", "cmath", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "enum",
    "fractions", "functools", "heapq", "io", "itertools", "math", "operator", "random", "re", "statistics",
    "string", "textwrap", "time", "traceback", "types", "typing",
)  # fmt: skip
ROLES = {"candidate": candidate.serve, "examiner": examiner.serve}
_CHANNEL, _LAST_DESCRIPTOR = 3, 1024


class _Stop(Exception):
    """The judge has closed the control socket."""


def main() -> None:
    """Settle in, say ready, and serve. Arguments: the control descriptor and the settings as JSON."""
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    if settings["isolated"] and os.getpid() != 1:
        raise SystemExit("the warm interpreter is not process 1 of its own process namespace")
    confine.settle(settings)
    sys.path[:] = [one for one in sys.path if one and one != settings["home"]] + settings["package_paths"]
    for name in (*PRELOADED, *settings["packages"]):
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # a package that the project does not have is one that programs do not have
    limits = confine.hold(settings)
    gc.collect()
    gc.freeze()
    null = os.open(os.devnull, os.O_RDWR)
    control.send(json.dumps({"ready": True}).encode())
    os.dup2(null, 2)
    try:
        while True:
            _serve_one(control, settings, limits)
    except _Stop:
        os._exit(0)


def _serve_one(control: socket.socket, settings: dict[str, Any], limits: confine.Confinement) -> None:
    message, descriptors, _, _ = socket.recv_fds(control, 1 << 12, 2)
    if not message:
        raise _Stop
    order = json.loads(message)
    if "run" not in order:  # an order to end what had ended by itself meanwhile
        return
    process_id = os.fork()
    if process_id == 0:
        _become(order, descriptors, settings, limits)
    for descriptor in descriptors:
        os.close(descriptor)
    ended = _watch(control, process_id)
    _end_the_rest(settings, process_id)
    ended["retired"] = not _is_clean(settings["directory"])
    control.send(json.dumps(ended).encode())
    if ended["retired"]:
        raise _Stop


def _watch(control: socket.socket, process_id: int) -> dict[str, Any]:
    """Wait until a child has ended, by itself or by order."""
    watched = os.pidfd_open(process_id)
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(watched, select.POLLIN)
    ordered = False
    while watched not in dict(poll.poll()):
        if not control.recv(1 << 12):
            os.kill(process_id, signal.SIGKILL)
            raise _Stop
        os.kill(process_id, signal.SIGKILL)
        ordered = True
    os.close(watched)
    _, status, used = os.wait4(process_id, 0)
    return {"code": os.waitstatus_to_exitcode(status), "ordered": ordered, "cpu_seconds": used.ru_utime + used.ru_stime}


def _end_the_rest(settings: dict[str, Any], process_id: int) -> None:
    """End and reap whatever the program left. The filter lets it start nothing; this does not rely on the filter."""
    try:
        if settings["isolated"]:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(process_id, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _is_clean(directory: str) -> bool:
    """Empty the private directory. What cannot be emptied is given up together with the jail."""
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        try:
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        except (OSError, RecursionError):
            return False
    return True


def _become(
    order: dict[str, Any], descriptors: list[int], settings: dict[str, Any], limits: confine.Confinement
) -> None:
    """In the forked child: take the channel, be confined, serve, and never return."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(descriptors[1] if len(descriptors) > 1 else null, 1)
        os.dup2(null, 0)
        os.dup2(null, 2)
        os.dup2(descriptors[0], _CHANNEL)
        os.closerange(_CHANNEL + 1, _LAST_DESCRIPTOR)
        os.chdir(settings["directory"])
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        gc.enable()
        confine.confine(limits, order["cpu_seconds"])
        connection = socket.socket(fileno=_CHANNEL)
        connection.sendall(wire.frame({"confined": True}))  # the last word that the judge may believe
        ROLES[order["run"]](connection)
        os._exit(0)
    finally:
        os._exit(70)
