"""Ties a process to its parent, so that a killed run leaves no process behind that still writes files.

A server of several processes leads a session of its own (`Popen(start_new_session=True)`): each of them can then see that its
server is gone, and all of them can be ended at once, also where the server itself was killed and could end nobody.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent ends (prctl PR_SET_PDEATHSIG); elsewhere a no-op.

    Ends the process at once if the parent has already ended. Call it before anything that takes time.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if _is_orphan():
            os._exit(128 + signal.SIGKILL)


def end_session(leader: "subprocess.Popen[bytes]", grace_seconds: float) -> None:
    """End a process that leads a session, and whatever is left of what it started.

    The leader gets SIGTERM and so many seconds to end the others itself (0: no time). Then all that is left is killed, the
    children of a leader that had ended before among them.
    """
    if grace_seconds > 0 and leader.poll() is None:
        leader.terminate()
        try:
            leader.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(leader.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nothing is left
    leader.wait()


def _is_orphan() -> bool:
    """Whether this process was re-parented: its session's leader is gone and its parent belongs to another session."""
    session = os.getsid(0)
    try:
        if os.getsid(os.getppid()) == session:
            return False
    except ProcessLookupError:
        return True
    return not _runs(session)


def _runs(process: int) -> bool:
    """Whether a process is there, and has not ended without its parent having asked for its status (a zombie)."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # of another user
    return state not in "ZX"
