"""A process that ends with its parent, so that a killed run leaves nothing behind that still writes."""

import ctypes
import os
import signal
import sys


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends (prctl PR_SET_PDEATHSIG); elsewhere a no-op.

    Ends it at once where the parent has ended before it could ask. Call it before anything that takes time.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if _is_orphan():
            os._exit(128 + signal.SIGKILL)


def _is_orphan() -> bool:
    """Whether whoever began this process's session is gone and its parent is of another one: it was handed on."""
    session = os.getsid(0)
    try:
        if os.getsid(os.getppid()) == session:
            return False
        os.kill(session, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # there is one, and it is somebody else's
    return False
