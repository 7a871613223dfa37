"""The warm interpreter: process 1 of a jail, which forks one process per program and ends everything when it is over.

jail.py starts it and speaks to it over a control socket: an order to run arrives with the descriptors of a fresh
channel, so that this process never reads a program and its children inherit nothing of one another. When the control
socket closes, because the judge is gone, it exits, and the kernel ends all that is left of the jail.

What a forked process touches is copied page by page, and that is most of what a small program costs. So all that can be
done once is done here, before the first fork, and the two loops below do little.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence

from . import candidate, confine, examiner, huge_pages, memory, rehearsal, wire
from .scratch import Scratch

# What each kind of process runs, and where it finds the second descriptor that may come with its order.
ROLES: dict[bytes, tuple[Callable[[wire.Stream], int], int]] = {
    wire.START_CANDIDATE: (candidate.serve, 1),
    wire.START_EXAMINER: (examiner.serve, examiner.PROGRAM_DESCRIPTOR),
}
_CHANNEL, _LAST_DESCRIPTOR, _FAILED = 3, 1024, 70
_HIGHEST_PLACE = max(_CHANNEL, *(place for _, place in ROLES.values()))
_DESCRIPTORS = struct.Struct("i")
_kill = ctypes.CDLL(None).kill


class _Stop(Exception):
    """The judge has closed the control socket."""


def main() -> None:
    """Settle in, say ready, and serve. Arguments: the control descriptor and the settings as JSON."""
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    if settings["isolated"] and os.getpid() != 1:
        raise SystemExit("the warm interpreter is not process 1 of its own process namespace")
    confine.settle(settings)
    sys.path[:] = [one for one in sys.path if one and one != settings["home"]] + settings["package_paths"]
    _preload([*candidate.PREAMBLE_MODULES, *settings["modules"]])
    candidate.prepare()
    rehearsal.rehearse()
    gc.collect()
    memory.fill_holes()
    huge_pages.move_code()
    os.chdir(settings["directory"])
    scratch = Scratch(settings["directory"])
    _give_way()
    limits = confine.hold(settings)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    while (null := os.open(os.devnull, os.O_RDWR)) <= _HIGHEST_PLACE:
        pass  # descriptors that come with an order are then above the places where they are wanted
    for standard in (0, 1):
        os.dup2(null, standard)
    gc.collect()
    gc.freeze()
    poll = select.poll()
    poll.register(control, select.POLLIN)
    control.send(wire.READY)
    os.dup2(null, 2)  # until here it could say what was wrong
    os.close(null)
    try:
        while True:
            _serve_one(control, poll, settings["isolated"], scratch, limits)
    except _Stop:
        os._exit(0)


def _give_way() -> None:
    """Let a program that wakes up wait its turn: as many run as there are cores, and the judge is to go first."""
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:
        pass  # it only costs time


def _preload(names: Sequence[str]) -> None:
    """Import modules for all programs, without what they want done in every forked process.

    `random` and `threading` register such work, which costs a program more than its fork does. There is one thread here,
    whose locks are free when it forks; and candidate.py seeds `random` where a program uses it.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **_: None
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # a package that the project does not have is one that programs do not have
    os.register_at_fork = register


def _serve_one(
    control: socket.socket, poll: select.poll, isolated: bool, directory: Scratch, limits: confine.Confinement
) -> None:
    message, rights, _, _ = control.recvmsg(wire.ORDER.size, socket.CMSG_SPACE(2 * _DESCRIPTORS.size))
    if not message:
        raise _Stop
    kind, cpu_seconds = wire.ORDER.unpack(message)
    if kind == wire.END:  # of what had ended by itself meanwhile
        return
    descriptors = [one for _, _, data in rights for (one,) in _DESCRIPTORS.iter_unpack(data)]
    process_id = os.fork()
    if process_id == 0:
        _become(kind, descriptors, limits, cpu_seconds)
    for descriptor in descriptors:
        os.close(descriptor)
    code, ordered, used = _watch(control, poll, process_id)
    _end_the_rest(isolated, process_id)
    retired = not directory.clean()
    control.send(wire.ENDING.pack(code, ordered, retired, used))
    if retired:
        raise _Stop


def _watch(control: socket.socket, poll: select.poll, process_id: int) -> tuple[int, bool, float]:
    """Wait until a child has ended: its exit code or minus the signal, whether by order, and the CPU time it used."""
    watched = os.pidfd_open(process_id)
    poll.register(watched, select.POLLIN)
    ordered = False
    while watched not in dict(poll.poll()):
        said = control.recv(wire.ORDER.size)
        os.kill(process_id, signal.SIGKILL)
        if not said:
            raise _Stop
        ordered = True
    poll.unregister(watched)
    os.close(watched)
    _, status, used = os.wait4(process_id, 0)
    return os.waitstatus_to_exitcode(status), ordered, used.ru_utime + used.ru_stime


def _end_the_rest(isolated: bool, process_id: int) -> None:
    """End and reap whatever the program left. The filter lets it start nothing; this does not rely on the filter.

    Most of the time there is nothing, and raising what os.kill raises over that costs more than asking.
    """
    if _kill(-1 if isolated else -process_id, signal.SIGKILL) != 0:
        return
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def _become(kind: bytes, descriptors: list[int], limits: confine.Confinement, cpu_seconds: int) -> None:
    """In the forked child: take the channel, be confined, serve, and never return."""
    try:
        os.setsid()
        serve, place = ROLES[kind]
        if len(descriptors) > 1:
            os.dup2(descriptors[1], place)
        os.dup2(descriptors[0], _CHANNEL)
        os.closerange(max(place, _CHANNEL) + 1, _LAST_DESCRIPTOR)
        confine.confine(limits, cpu_seconds)
        stream = wire.Stream(_CHANNEL)
        stream.send(wire.CONFINED)  # the last word that the judge may believe
        os._exit(serve(stream))
    finally:
        os._exit(_FAILED)
