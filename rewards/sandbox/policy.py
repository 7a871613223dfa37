"""What a program may use, and the words for what can go wrong with the sandbox itself.

Limits are enforced in three places: the kernel holds what inside/confine.py sets, jail.py holds the clock, and
channel.py counts bytes. backends/ raises IsolationUnavailable; conduct.py turns a lost jail into "could not judge".
"""

from dataclasses import dataclass
from typing import Literal, get_args

from rewards.errors import RewardsError

Isolation = Literal["auto", "bubblewrap", "namespaces", "none"]
ISOLATIONS: tuple[Isolation, ...] = get_args(Isolation)


class IsolationUnavailable(RewardsError, RuntimeError):
    """Nothing on this machine can isolate a program, so none is run."""


class JailLost(RuntimeError):
    """A jail or the program in it was ended by someone else. Says nothing about the program."""


@dataclass(frozen=True)
class Limits:
    """What one program may use. Memory and files are per program, time is per test."""

    timeout_seconds: float = 8.0
    memory_mib: int = 512  # address space beyond what the warm interpreter has already
    files_mib: int = 32  # everything in its private /tmp, which is memory too
    files: int = 2048  # how many files and directories that may be
    open_files: int = 64
    threads: int = 64
    output_bytes: int = 4 << 20  # standard output of a test, or one returned value

    def __post_init__(self) -> None:
        small = [name for name, value in vars(self).items() if value <= 0]
        if small:
            raise ValueError(f"{', '.join(small)} must be above zero")
