"""Becomes a server after tying itself to the process that started it: `python -m ...starter CORES COMMAND...`.

A process of its own in place of work between fork and exec, which a trainer with much memory and many threads cannot do
safely. Neighbour: launch.py (starts it). It loads nothing heavy, and Linux keeps both settings over exec.
"""

import os
import sys

from alignment.core.process import die_with_parent


def main(cores: str, command: list[str]) -> None:
    """Keep to cores (their numbers with commas, or empty for all), end with the parent, and become the command."""
    die_with_parent()
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    os.execv(command[0], command)  # noqa: S606  the command is launch.py's own


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
