"""A process that has torch, transformers and TRL imported, and forks when it is asked to: `python -m alignment.run.fork_server`.

A run has about ten processes, and each would import them for 4 to 10 seconds. Asked by a line of JSON, it answers with the
fork's process id and then its exit status. It runs one fork at a time, as a run does. Neighbours: forks.py (asks it),
processes.py (follows what was started).
"""

import gc
import importlib
import json
import os
import signal
import sys
from typing import TextIO, TypedDict

from alignment.core.entry import OBJECTS_BETWEEN_COLLECTIONS, run_child
from alignment.core.process import die_with_parent

LAUNCHER = "accelerate.commands.launch"


class Request(TypedDict):
    """What to run: `python ARGUMENTS`, its environment, the folder it runs in and the log that its output is added to."""

    arguments: list[str]
    env: dict[str, str]
    folder: str
    log: str


def serve(imports: list[str]) -> list[str] | None:
    """Import modules, then fork for each request. Returns the arguments in a fork, None where nobody asks any more."""
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries say while they are imported is no answer
    for name in imports:
        importlib.import_module(name)
    gc.freeze()  # a collection in a fork leaves these objects alone, so their memory stays shared
    own = os.getpid()
    for asked_for in sys.stdin:
        request: Request = json.loads(asked_for)
        ready, leads = os.pipe()
        fork = os.fork()
        if fork == 0:
            die_with_parent()
            if os.getppid() != own:  # which ended just before
                os._exit(128 + signal.SIGKILL)
            os.close(ready)
            return _become(request, answers, leads)
        os.close(leads)
        os.read(ready, 1)
        os.close(ready)
        answers.write(f"{fork}\n")
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1])}\n")
    return None


def _become(request: Request, answers: TextIO, leads: int) -> list[str]:
    os.setsid()
    os.write(leads, b"1")
    os.close(leads)
    answers.close()
    for stream, path, flags in ((0, os.devnull, os.O_RDONLY), (1, request["log"], os.O_WRONLY | os.O_APPEND)):
        opened = os.open(path, flags)
        os.dup2(opened, stream)
        os.close(opened)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]  # as for `python -m`
    return request["arguments"]


def run_module(arguments: list[str]) -> None:
    """What `python -m MODULE ...` would do, for a module of ours, or one that accelerate's launcher is to start."""
    name, rest = arguments[1], arguments[2:]
    if name == LAUNCHER:
        name, rest = launched(rest)
    module = importlib.import_module(name)
    sys.argv = [str(module.__file__), *rest]
    run_child(module.main)


def launched(arguments: list[str]) -> tuple[str, list[str]]:
    """What accelerate's launcher would start for one process (module, its arguments), in the environment it would give."""
    launch = importlib.import_module(LAUNCHER)
    chosen, _, _ = launch._validate_launch_command(launch.launch_command_parser().parse_args(arguments))  # noqa: SLF001
    command, env = launch.prepare_simple_launcher_cmd_env(chosen)
    os.environ.clear()
    os.environ.update(env)
    return command[2], command[3:]


if __name__ == "__main__":
    asked = serve(sys.argv[1:])
    if asked is not None:
        run_module(asked)
