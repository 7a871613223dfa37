"""A process that has torch, transformers and TRL imported, and forks when it is asked to.

A run has about ten processes, and each would import them for 4 to 10 seconds. Whoever asks is one end of a socket: it
is told in which environment what was imported, sends what to run as a line of JSON, and is answered with the fork's
process id and then its exit status. One fork at a time, which ends with the one who asked.

`python -m alignment.run.forks.server --listen PATH IMPORTS` answers everyone who connects to a socket, for many short
runs: `ALIGNMENT_FORK_SERVER=PATH` makes them ask it. Neighbours: start.py (asks), run/processes.py (follows what was
started).
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from typing import NoReturn, TypedDict

from alignment.core.entry import OBJECTS_BETWEEN_COLLECTIONS, run_child
from alignment.core.process import die_with_parent
from alignment.run.launcher import LAUNCHER

SHARED = "ALIGNMENT_FORK_SERVER"  # the path of a socket that somebody listens on


class Request(TypedDict):
    """What to run: `python ARGUMENTS`, its environment, the folder it runs in and the log that its output is added to."""

    arguments: list[str]
    env: dict[str, str]
    folder: str
    log: str


class Ready(TypedDict):
    """What a server has: the environment it was started in, and the modules it imported."""

    env: dict[str, str]
    imports: list[str]


def send(talk: socket.socket, value: object) -> None:
    """Write a value as a line of JSON."""
    talk.sendall(json.dumps(value).encode() + b"\n")


def received(talk: socket.socket) -> str:
    """The next line; empty where the other end is gone. It takes no byte of the line after it."""
    line = b""
    while not line.endswith(b"\n"):
        try:
            found = talk.recv(1)
        except OSError:
            found = b""
        if not found:
            return ""
        line += found
    return line.decode()


def serve(talk: socket.socket, ready: Ready) -> Request | None:
    """Fork for each request. Returns the request in a fork, and None in the server where nobody asks any more."""
    send(talk, ready)
    own = os.getpid()
    while text := received(talk):
        request: Request = json.loads(text)
        leads, made = os.pipe()
        fork = os.fork()
        if fork == 0:
            _lead(own, made)
            talk.close()
            return request
        os.close(made)
        os.read(leads, 1)  # it leads its session, so that a signal to its group finds it
        os.close(leads)
        send(talk, fork)
        send(talk, _status(fork, talk))
    return None


def _lead(server: int, made: int) -> None:
    """Make a fork the leader of a session that ends with the server."""
    die_with_parent()
    if os.getppid() != server:  # which ended just before
        os._exit(128 + signal.SIGKILL)
    os.setsid()
    os.write(made, b"1")
    os.close(made)


def _status(fork: int, talk: socket.socket) -> int:
    """The exit status of a fork, which is killed with its group if the one who asked is gone."""
    ended = os.pidfd_open(fork)
    while ended not in select.select([ended, talk.fileno()], [], [])[0]:
        if not talk.recv(1, socket.MSG_PEEK):
            os.killpg(fork, signal.SIGKILL)
            break
    os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])


def listen(path: str, ready: Ready) -> Request | None:
    """Serve everyone who connects, each by a fork of this process. Returns as `serve` does, in forks alone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who serve
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        own = os.getpid()
        while True:
            talk, _ = door.accept()
            if os.fork() == 0:
                die_with_parent()
                if os.getppid() != own:
                    os._exit(128 + signal.SIGKILL)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                door.close()
                return serve(talk, ready)
            talk.close()


def become(request: Request) -> NoReturn:
    """In a fork: be what `python -m MODULE ...` would be, for a module of ours or one that the launcher is to start."""
    for stream, path, flags in ((0, os.devnull, os.O_RDONLY), (1, request["log"], os.O_WRONLY | os.O_APPEND)):
        opened = os.open(path, flags)
        os.dup2(opened, stream)
        os.close(opened)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]  # as for `python -m`
    name, rest = request["arguments"][1], request["arguments"][2:]
    if name == LAUNCHER:
        name, rest = launched(rest)
    module = importlib.import_module(name)
    sys.argv = [str(module.__file__), *rest]
    run_child(module.main)
    raise SystemExit


def launched(arguments: list[str]) -> tuple[str, list[str]]:
    """What accelerate's launcher would start for one process (module, its arguments), in the environment it would give."""
    launch = importlib.import_module(LAUNCHER)
    chosen, _, _ = launch._validate_launch_command(launch.launch_command_parser().parse_args(arguments))  # noqa: SLF001
    command, env = launch.prepare_simple_launcher_cmd_env(chosen)
    os.environ.clear()
    os.environ.update(env)
    return command[2], command[3:]


def main(arguments: list[str]) -> None:
    """Import what the arguments name and serve: the socket that this was started with, or who connects to `--listen PATH`."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    path = arguments[1] if arguments[:1] == ["--listen"] else None
    ready: Ready = {"env": dict(os.environ), "imports": arguments if path is None else arguments[2:]}
    for name in ready["imports"]:
        importlib.import_module(name)
    sys.stdout.flush()  # what libraries said would be written by each fork again
    sys.stderr.flush()
    gc.freeze()  # a collection in a fork leaves these objects alone, so their memory stays shared
    request = serve(socket.socket(fileno=os.dup(0)), ready) if path is None else listen(path, ready)
    if request is not None:
        try:
            become(request)
        except SystemExit as ended:
            end(ended)


def end(ended: SystemExit) -> NoReturn:
    """End a fork as Python ends, but for freeing the objects that it shares: touching each would copy its memory."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  waits for threads
    atexit._run_exitfuncs()  # noqa: SLF001
    if isinstance(ended.code, str):
        print(ended.code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)  # what libraries in C have written
    os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))


if __name__ == "__main__":
    main(sys.argv[1:])
