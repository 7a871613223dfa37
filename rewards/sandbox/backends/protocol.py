"""What a way to isolate programs is: jail.py runs the command that it gives, and workers.py takes the first that works.

bubblewrap.py, namespaces.py and unisolated.py are the ways there are; visible.py says what of this machine they show.
"""

from collections.abc import Sequence
from typing import Protocol

from rewards.sandbox.policy import Isolation, Limits


class Backend(Protocol):
    """One way to make a jail. A value: what it starts belongs to the jail that started it."""

    @property
    def name(self) -> Isolation:
        """The name it has in a recipe and in a finding."""
        ...

    @property
    def described(self) -> str:
        """Which way this is, in words for a message."""
        ...

    def fault(self) -> str | None:
        """Why it cannot work here, as far as can be seen without trying; None when it may."""
        ...

    def command(self, limits: Limits, control: int, directory: str, modules: Sequence[str] = ()) -> list[str]:
        """The command that starts a zygote on a control descriptor.

        `directory`: private files where nothing is mounted. `modules`: to import beforehand, beside those of zygote.py.
        """
        ...
