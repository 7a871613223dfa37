"""One lock on a file, so that two processes never write one folder. Neighbours: files.py; who holds which is in run/."""

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from alignment.core.errors import ArtifactError

ASKED_EVERY_SECONDS = 0.2


def hold(path: Path, refusal: str, *, patience_seconds: float = 0, on_wait: Callable[[], None] | None = None) -> TextIO:
    """Hold the lock of a file until what is returned is closed, which is also a context manager; a kill frees it.

    on_wait is called once, when somebody else has it. Raises ArtifactError: with `refusal` where it is still held after
    patience_seconds, and where the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    until = time.monotonic() + patience_seconds
    waited = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except BlockingIOError:
            if time.monotonic() >= until:
                file.close()
                raise ArtifactError(f"{path}: {refusal}") from None
        if on_wait is not None and not waited:
            on_wait()
        waited = True
        time.sleep(ASKED_EVERY_SECONDS)
