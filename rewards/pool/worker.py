"""What runs inside a verification process: `python -P -m rewards.pool.worker MODULE:FUNCTION TIMEOUT CPU MEMORY ARGUMENT`.

The pool (__init__.py) starts it, sends one JSON line per item and reads one JSON line per answer. Nothing is unpickled.
It ends when its standard input closes, which is what happens when its parent dies.
"""

import importlib
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, BinaryIO, NoReturn

from rewards.errors import RewardsError

# What a function may raise on an item that it cannot judge. Anything else ends the process, and the pool says so.
ITEM_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


def claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for the protocol, so that a library that prints or reads cannot disturb it."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return requests, replies


def limit_process(memory_mib: int) -> None:
    """Bound memory, and leave signals so that the kernel alone can end a process that is stuck in C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends its workers
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mib << 20, memory_mib << 20))


def load(target: str, argument: str) -> Callable[[Any], Any]:
    """The function named by `module:function`; with an argument, what it returns for that."""
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    if not callable(function):
        raise TypeError(f"{target} is not a function")
    return function(argument) if argument else function  # type: ignore[no-any-return]


def send(replies: BinaryIO, message: dict[str, Any]) -> None:
    """Write one message as one line."""
    replies.write(json.dumps(message).encode() + b"\n")
    replies.flush()


AGAIN_SECONDS = 0.1  # of CPU time, after which an item that did not stop is interrupted once more


class _OverLimit(BaseException):
    """An item has used up its time. Not an Exception, so that no library takes it for its own."""


def _end_item(_: int, __: FrameType | None) -> NoReturn:
    raise _OverLimit


def judge(function: Callable[[Any], Any], request: dict[str, Any], cpu_seconds: float = 0.0) -> dict[str, Any]:
    """The reply to one request: a value, what the function raised, or that it used up its time.

    SIGPROF interrupts an item: the timer sends it when the CPU time is used up, and the parent when the clock has run out.
    """
    signal.signal(signal.SIGPROF, _end_item)
    try:
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds, AGAIN_SECONDS)
        try:
            return {"id": request["id"], "value": function(request["item"])}
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
    except _OverLimit:
        return {"id": request["id"], "over_limit": True}
    except ITEM_ERRORS as error:
        return {"id": request["id"], "error": f"{type(error).__name__}: {error}"[:500]}
    finally:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)


def main() -> int:
    """Serve requests until standard input closes."""
    target, timeout_seconds, cpu_seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    memory_mib, argument = int(sys.argv[4]), sys.argv[5]
    requests, replies = claim_pipes()
    limit_process(memory_mib)
    try:
        function = load(target, argument)
    except RewardsError as error:
        send(replies, {"refused": str(error)})
        return 1
    except (ImportError, AttributeError, TypeError) as error:
        send(replies, {"refused": f"{type(error).__name__}: {error}"})
        return 1
    send(replies, {"ready": True})
    # The parent ends a slow item at its limit. If the parent is gone and this process is stuck, the alarm ends it.
    alarm_seconds = math.ceil(timeout_seconds * 2) + 3
    for line in requests:
        signal.alarm(alarm_seconds)
        send(replies, judge(function, json.loads(line), cpu_seconds))
        signal.alarm(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
