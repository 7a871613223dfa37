"""Starts the processes of a run on a CPU as forks of one that has the libraries imported, where that is the same.

Neighbours: fork_server.py (the process that forks), processes.py (starts a new interpreter, and follows either).
"""

import json
import os
import select
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
from alignment.run.fork_server import LAUNCHER, Request
from alignment.run.processes import Started, new_interpreter

FORKED = ("alignment.run.stage", "alignment.run.evaluate")
IMPORTS = (LAUNCHER, "alignment.training.stages.sft", "alignment.training.stages.grpo", "alignment.evaluation.job",
           "reasoning_gym", *FORKED)  # fmt: skip
# What may differ between the processes of a run: nothing reads it while it is imported.
READ_LATE = ("ALIGNMENT_", "VLLM_RPC_BASE_PATH", "OMP_WAIT_POLICY", "PYTEST_CURRENT_TEST")
GONE = -9  # what a fork ends with if the process that forked it is killed


def imports_for(recipe: Recipe) -> tuple[str, ...]:
    """What the processes of a recipe's run import, vLLM only where an engine is or may be vLLM."""
    rollouts = (rollout_of(stage) for stage in recipe.stages)
    engines = {recipe.evaluations.engine.type, *(one.engine.type for one in rollouts if one is not None)}
    return (*IMPORTS, "vllm") if engines & {"vllm", "auto"} and find_spec("vllm") else IMPORTS


class _Server:
    """The process that forks. env: it is started in this, and its imports are what this makes them."""

    def __init__(self, imports: Sequence[str], env: dict[str, str]) -> None:
        self.env = env
        self._talk, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "alignment.run.fork_server", *imports],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env=env,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  nothing here holds a lock that a fork could copy
            )

    def ask(self, request: Request) -> None:
        """Raises OSError where the server is gone."""
        self._talk.sendall(json.dumps(request).encode() + b"\n")

    def answer(self, *, wait: bool) -> int | None:
        """The next number that it says. None where it says none yet; it is waited for, or the server is gone."""
        if not wait and not select.select([self._talk], [], [], 0)[0]:
            return None
        line = b""
        while not line.endswith(b"\n"):  # no more than a line: what comes after it is the next answer
            try:
                found = self._talk.recv(1)
            except OSError:
                found = b""
            if not found:
                return GONE
            line += found
        return int(line)

    def end(self) -> None:
        """Kill it; what it forked ends with it."""
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
            self._status = self.server.answer(wait=False)
        return self._status


@dataclass
class Forks:
    """Starts processes; one that cannot be a fork is a new interpreter.

    modules: those whose `main` can run in a fork. imports: what the process that forks imports before.
    """

    imports: tuple[str, ...] = IMPORTS
    modules: tuple[str, ...] = FORKED
    _server: _Server | None = field(default=None, init=False)

    def start(self, command: Sequence[str], env: dict[str, str], log: Path) -> Started:
        """Start a command with its output added to a log.

        It is forked where it is a stage or an evaluation in one process on a CPU, in an environment that gives the same
        imports as that of the first.
        """
        if not self._can_fork(command, env):
            return new_interpreter(command, env, log)
        if self._server is None:
            self._server = _Server(self.imports, env)
        log.touch()
        request: Request = {
            "arguments": list(command[1:]),
            "env": env,
            "folder": os.getcwd(),
            "log": str(log.resolve()),
        }
        try:
            self._server.ask(request)
        except OSError:
            return new_interpreter(command, env, log)
        process_id = self._server.answer(wait=True)
        if process_id is None or process_id == GONE:  # an import failed
            return new_interpreter(command, env, log)
        return Fork(self._server, process_id)

    def close(self) -> None:
        """End the process that forks, and a fork that still runs."""
        if self._server is not None:
            self._server.end()
            self._server = None

    def _can_fork(self, command: Sequence[str], env: dict[str, str]) -> bool:
        one = LAUNCHER not in command or ("--num_processes", "1") in pairwise(command)
        ours = command[0] == sys.executable and any(module in command for module in self.modules)
        on_cpu = env.get("CUDA_VISIBLE_DEVICES") == ""
        alike = self._server is None or _read_early(self._server.env) == _read_early(env)
        return sys.platform == "linux" and one and ours and on_cpu and alike


def _read_early(env: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if not name.startswith(READ_LATE)}
