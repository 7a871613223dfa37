"""Starts ranks by accelerate's own launcher, each a fork of one process that has torch, TRL and DeepSpeed imported.

The launcher runs in a fork too, and starts this file once for each rank, in the environment that a rank has: it asks
the process that forks to be rank_jobs.py in that environment, and ends as that ends. So only the imports are shared.
Neighbours: test_ranks.py (asks for runs), alignment/run/forks/server.py (forks).
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alignment.run.forks.server import SHARED, received, send

LOG = "RANKS_LOG"  # the file that ranks write what they say into
KINDS = ("sft", "dpo", "grpo", "distill", "prm", "reward_model")
# Also what they import later, once for each rank.
IMPORTS = (*(f"alignment.training.stages.{kind}" for kind in KINDS), "accelerate.commands.launch", "torch.distributed.run",
           "deepspeed", "reasoning_gym", "peft", "accelerate.utils.fsdp_utils")  # fmt: skip


def asked(arguments: Sequence[str], env: dict[str, str], patience: float | None = None) -> int:
    """The exit status of `python ARGUMENTS` in an environment, as a fork. It ends with this process.

    patience: seconds after which it counts as one that hangs, and TimeoutError is raised.
    """
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(patience)
        talk.connect(env[SHARED])
        received(talk)  # what it has imported
        send(talk, {"arguments": list(arguments), "env": env, "folder": os.getcwd(), "log": env[LOG]})
        received(talk)  # the fork's process id
        return int(received(talk) or 1)


@contextmanager
def listening(path: Path, env: dict[str, str]) -> Iterator[None]:
    """A process that forks for whoever connects to a socket."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, [env.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "alignment.run.forks.server", "--listen", str(path), *IMPORTS]
    with subprocess.Popen(command, env={**env, "PYTHONPATH": paths}) as server:
        until = time.monotonic() + 120
        while not path.exists() and server.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        try:
            yield
        finally:
            server.kill()


def main(arguments: list[str]) -> None:
    """In a fork: accelerate's launcher."""
    from accelerate.commands import launch

    launch.launch_command(launch.launch_command_parser().parse_args(arguments))


if __name__ == "__main__":
    raise SystemExit(asked(["-m", "rank_jobs", *sys.argv[1:]], dict(os.environ)))
