"""No jail, only when asked for by name: the same harness and system call filter, with the rights of whoever trains."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rewards.sandbox.backends import visible
from rewards.sandbox.policy import Limits


@dataclass(frozen=True)
class Unisolated:
    """Backend. Programs see this machine's files; only for programs that somebody has read."""

    name: Literal["none"] = "none"

    @property
    def described(self) -> str:
        """Which way this is, in words for a message."""
        return "without isolation"

    def fault(self) -> str | None:
        """Nothing is needed."""
        return None

    def command(self, limits: Limits, control: int, directory: str, modules: Sequence[str] = ()) -> list[str]:
        """The command that starts a zygote on a control descriptor, its files in `directory`."""
        settings = visible.settings_without_mounts(limits, modules, directory)
        return [*visible.python("zygote", visible.HOME), str(control), settings]
