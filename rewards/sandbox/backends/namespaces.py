"""A jail made by our own system calls (inside/launcher.py, Linux 5.12 or newer), as root or in a user namespace."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rewards.sandbox.backends import visible
from rewards.sandbox.policy import Limits


@dataclass(frozen=True)
class Namespaces:
    """Backend. `as_user_namespace`: in one of its own, instead of by the rights of root."""

    as_user_namespace: bool
    name: Literal["namespaces"] = "namespaces"

    @property
    def described(self) -> str:
        """Which way this is, in words for a message."""
        return f"{self.name} {'in a user namespace' if self.as_user_namespace else 'as root'}"

    def fault(self) -> str | None:
        """Why it cannot work here, as far as can be seen without trying; None when it may."""
        return visible.fault_of_rights(self.as_user_namespace)

    def command(self, limits: Limits, control: int, directory: str, modules: Sequence[str] = ()) -> list[str]:
        """The command that starts a zygote on a control descriptor."""
        plan = {
            "binds": visible.shown(),
            "links": visible.links(),
            "devices": visible.DEVICES,
            "user_namespace": self.as_user_namespace,
        }
        user = None if self.as_user_namespace else visible.spare_user()
        settings = visible.settings(limits, modules, home=visible.HOME, user=user)
        return [*visible.python("launcher", visible.HOME), str(control), settings, json.dumps(plan)]
