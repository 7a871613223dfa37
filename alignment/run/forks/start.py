"""Starts the processes of a run on a CPU as forks of one that has the libraries imported, where that is the same.

Neighbours: server.py (the process that forks), run/processes.py (starts a new interpreter, and follows either).
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from alignment.core.process import die_with_parent
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import rollout_of
from alignment.run.forks.server import SHARED, Ready, Request, received, send
from alignment.run.launcher import LAUNCHER
from alignment.run.processes import Started, new_interpreter

FORKED = (
    "alignment.run.stage", "alignment.run.evaluate", "alignment.evaluation.job", "alignment.evaluation.sweep.job",
    "alignment.evaluation.comparison.job", "alignment.evaluation.process.job",
)  # fmt: skip
# accelerate imports DeepSpeed, where it is installed, whenever a model is saved, trained with it or not.
_SAVING = ("deepspeed",) if find_spec("deepspeed") else ()
_TRAINING = ("alignment.training.stages.sft", "alignment.training.stages.grpo", "reasoning_gym", *_SAVING)
IMPORTS = (LAUNCHER, *_TRAINING, *FORKED)
# What may differ between the processes of a run: nothing reads it while it is imported.
READ_LATE = ("ALIGNMENT_", "VLLM_RPC_BASE_PATH", "OMP_WAIT_POLICY", "PYTEST_CURRENT_TEST")


def imports_for(recipe: Recipe) -> tuple[str, ...]:
    """What the processes of a recipe's run import, vLLM only where an engine is or may be vLLM."""
    rollouts = (rollout_of(stage) for stage in recipe.stages)
    engines = {recipe.evaluations.engine.type, *(one.engine.type for one in rollouts if one is not None)}
    return (*IMPORTS, "vllm") if engines & {"vllm", "auto"} and find_spec("vllm") else IMPORTS


class _Server:
    """A process that forks. ready: its environment, and what it imported."""

    def __init__(self, talk: socket.socket, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self.talk, self.process = talk, process
        told = received(talk)
        self.ready: Ready | None = json.loads(told) if told else None  # None: an import failed

    @classmethod
    def started(cls, imports: Sequence[str], env: dict[str, str]) -> "_Server":
        """One of our own, which ends with this process."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "alignment.run.forks.server", *imports],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,  # what libraries say while they are imported
                stderr=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock that a fork could copy
            )
        return cls(ours, process)

    @classmethod
    def shared(cls) -> "_Server | None":
        """The one that listens for everybody, if there is one."""
        talk = socket.socket(socket.AF_UNIX)
        try:
            talk.connect(os.environ[SHARED])
        except (KeyError, OSError):
            talk.close()
            return None
        return cls(talk)

    def imports_alike(self, imports: Sequence[str], env: dict[str, str]) -> bool:
        """Whether modules are imported here as they would be in an environment."""
        return (
            self.ready is not None
            and set(imports) <= set(self.ready["imports"])
            and _read_early(self.ready["env"]) == _read_early(env)
        )

    def forked(self, request: Request) -> "Fork | None":
        """A fork that runs what is requested; None where the server is gone."""
        try:
            send(self.talk, request)
        except OSError:
            return None
        answer = received(self.talk)
        return Fork(self, int(answer)) if answer else None

    def status(self) -> int | None:
        """The exit status of its fork; None while that runs."""
        if not select.select([self.talk], [], [], 0)[0]:
            return None
        answer = received(self.talk)
        return int(answer) if answer else -signal.SIGKILL  # with the server, which is gone

    def end(self) -> None:
        """End it, if it is our own, and what it forked for us."""
        if self.process is None:
            self.talk.shutdown(socket.SHUT_RDWR)
        else:
            self.process.kill()
            self.process.wait()


@dataclass
class Fork:
    """A forked process, with what `subprocess.Popen` has of it. pid: also of its session and its group."""

    server: _Server
    pid: int
    _status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, negative for the signal that killed it; None while it runs."""
        if self._status is None:
            self._status = self.server.status()
        return self._status


@dataclass
class Forks:
    """Starts processes; one that cannot be a fork is a new interpreter.

    modules: those whose `main` can run in a fork. imports: what the process that forks imports before. own: whether to start
    that process where none is shared, which pays for more than one fork.
    """

    imports: tuple[str, ...] = IMPORTS
    modules: tuple[str, ...] = FORKED
    own: bool = True
    _server: _Server | None = field(default=None, init=False)

    def start(self, command: Sequence[str], env: dict[str, str], log: Path) -> Started:
        """Start a command with its output added to a log.

        It is forked where it is a stage or an evaluation in one process on a CPU, in an environment that gives the same
        imports as that of the first.
        """
        fork = self._fork(command, env, log) if self._can_fork(command, env) else None
        return fork or new_interpreter(command, env, log)

    def _fork(self, command: Sequence[str], env: dict[str, str], log: Path) -> Fork | None:
        if self._server is None:
            shared = _Server.shared()
            alike = shared is not None and shared.imports_alike(self.imports, env)
            self._server = shared if alike else _Server.started(self.imports, env) if self.own else None
        if self._server is None or not self._server.imports_alike(self.imports, env):
            return None
        log.touch()
        return self._server.forked(
            {"arguments": list(command[1:]), "env": env, "folder": os.getcwd(), "log": str(log.resolve())}
        )

    def close(self) -> None:
        """End the process that forks, and a fork that still runs."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def _can_fork(self, command: Sequence[str], env: dict[str, str]) -> bool:
        one = LAUNCHER not in command or ("--num_processes", "1") in pairwise(command)
        ours = command[0] == sys.executable and any(module in command for module in self.modules)
        on_cpu = env.get("CUDA_VISIBLE_DEVICES") == ""
        return sys.platform == "linux" and one and ours and on_cpu


def _read_early(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(READ_LATE)}
