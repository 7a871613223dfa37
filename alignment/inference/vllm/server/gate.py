"""A gate between a rank's completions and a change of weights: no completion is asked for while weights change.

What is under way then is ended by the servers (vLLM's pause with mode abort) and answered with the tokens so far; it goes on
behind the gate with the new weights. So every token's weights are known, and so are its log-probs: vLLM's mode keep would go
on with keys and values that the old weights made, and say of no token which weights it is of.
Neighbours: pool.py (completions and weights), requests.py (the request that goes on).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Open until it is closed. From any thread."""

    def __init__(self) -> None:
        self._changed, self._open, self._inside = threading.Condition(), True, 0

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Wait until the gate is open, and be inside until the block ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._open)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more."""
        with self._changed:
            self._open = False

    def is_empty(self, seconds: float) -> bool:
        """Whether nobody is inside, after waiting for that for so long."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._inside, seconds)

    def open(self) -> None:
        """Let everybody in who waits."""
        with self._changed:
            self._open = True
            self._changed.notify_all()
