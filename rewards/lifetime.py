"""What ends things that own processes: leaving a `with` block, the interpreter's exit, and a fork.

pool/ and sandbox/workers.py own processes; compose.py closes what its verifiers own.
"""

import atexit
import os
import weakref
from types import TracebackType
from typing import Self


class Closing:
    """Is closed when a `with` block over it is left."""

    def close(self) -> None:
        """End whatever was started."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ProcessOwner(Closing):
    """Is closed at the interpreter's exit as well, and in a forked child forgets processes that are its parent's."""

    def __init__(self) -> None:
        _OWNERS.add(self)

    def _forget(self) -> None:
        """Leave the processes alone, and start others when needed."""
        raise NotImplementedError


_OWNERS: "weakref.WeakSet[ProcessOwner]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for owner in list(_OWNERS):
        owner.close()


def _forget_all() -> None:
    for owner in list(_OWNERS):
        owner._forget()  # noqa: SLF001  this module's own class


os.register_at_fork(after_in_child=_forget_all)
