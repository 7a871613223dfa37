"""The private directory that all programs of a jail have, one after the other: nothing of one is there for the next.

zygote.py empties it when a program and all that it left have ended. Where a program owns the directory itself, which it
does in a user namespace, it can change more than what is in it: its mode, its times, its extended attributes.
"""

import os
import time

_TICK_NS = 1_000_000_000  # far more than lies between two times that a file system can tell apart


class Scratch:
    """A directory that is emptied after every program."""

    def __init__(self, path: str) -> None:
        self.path = path
        given = os.stat(path)
        self._mode, self._is_ours = given.st_mode, given.st_uid == os.geteuid()
        self._untouched: int | None = None  # its time of change while it is as it should be, where that can be known
        if self._is_ours:
            os.utime(path, ns=(0, 0))

    def clean(self) -> bool:
        """Empty it. False for what cannot be undone, which is then given up together with the jail."""
        try:
            found = os.stat(self.path)
            if found.st_ctime_ns == self._untouched:  # nobody can set this one
                return True
            self._untouched = None
            names = os.listdir(self.path)
            if names:
                self._remove(names)
            if self._is_ours and (found.st_mtime_ns or names):
                os.utime(self.path, ns=(0, 0))  # or a time could be a message
            elif not names and time.time_ns() - found.st_ctime_ns > _TICK_NS:
                self._untouched = found.st_ctime_ns  # what is done to it from now on has a later time
            return not self._is_ours or (found.st_mode == self._mode and not _attributes(self.path))
        except (OSError, RecursionError):
            return False

    def _remove(self, names: list[str]) -> None:
        import shutil  # with its compression libraries every fork would be dearer

        for name in names:
            path = os.path.join(self.path, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


def _attributes(path: str) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError:  # a file system that has none
        return []
