"""A jail made by the program `bwrap` (https://github.com/containers/bubblewrap), as root or in a user namespace."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rewards.sandbox.backends import visible
from rewards.sandbox.policy import Limits


@dataclass(frozen=True)
class Bubblewrap:
    """Backend. `as_user_namespace`: in one of its own, instead of by the rights of root."""

    as_user_namespace: bool
    name: Literal["bubblewrap"] = "bubblewrap"

    @property
    def described(self) -> str:
        """Which way this is, in words for a message."""
        return f"{self.name} {'in a user namespace' if self.as_user_namespace else 'as root'}"

    def fault(self) -> str | None:
        """Why it cannot work here, as far as can be seen without trying; None when it may."""
        return (
            "bwrap is not installed"
            if shutil.which("bwrap") is None
            else visible.fault_of_rights(self.as_user_namespace)
        )

    def command(self, limits: Limits, control: int, directory: str, modules: Sequence[str] = ()) -> list[str]:
        """The command that starts a zygote on a control descriptor."""
        user = None if self.as_user_namespace else visible.spare_user()
        settings = visible.settings(limits, modules, home=visible.JAIL_HOME, user=user)
        return [*self._namespaces(), *_files(), *visible.python("zygote", visible.JAIL_HOME), str(control), settings]

    def _namespaces(self) -> list[str]:
        rights = ["CAP_SYS_ADMIN"]  # given up by the zygote as soon as it has mounted its private /tmp
        command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        if self.as_user_namespace:
            command += ["--unshare-user", "--uid", visible.NOBODY, "--gid", visible.NOBODY]
        else:
            rights += ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
        command += ["--hostname", "jail", "--as-pid-1", "--cap-drop", "ALL"]
        for right in rights:
            command += ["--cap-add", right]
        return command


def _files() -> list[str]:
    shown, command = visible.shown(), []
    places = [*(place for _, place in shown), *visible.DEVICES, "/tmp/any"]  # noqa: S108  the jail's own
    for directory in sorted({str(parent) for place in places for parent in Path(place).parents} - {"/"}):
        command += ["--dir", directory]  # made for all to enter; those that bubblewrap makes by itself are not
    for source, destination in shown:
        command += ["--ro-bind", source, destination]
    for target, path in visible.links():
        command += ["--symlink", target, path]
    for device in visible.DEVICES:
        command += ["--dev-bind", device, device]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--"]
