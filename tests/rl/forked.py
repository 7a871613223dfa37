"""Runs works side by side, each in a fork of this process: ranks that share what it has imported."""

import os
import traceback
from collections.abc import Callable, Sequence


def side_by_side(works: Sequence[Callable[[], None]]) -> int:
    """0 if every work ended well, else 1."""
    forks = []
    for work in works:
        fork = os.fork()
        if fork == 0:
            status = 1
            try:
                work()
                status = 0
            finally:  # a fork must never go on as its parent
                if status:
                    traceback.print_exc()
                os._exit(status)
        forks.append(fork)
    statuses = [os.waitpid(fork, 0)[1] for fork in forks]  # all are waited for
    return int(any(statuses))
