"""Hosts made of network namespaces: each has an address of its own and reaches the others through a bridge, and nothing else.

They share this machine's files, as hosts with a network file system do. Neighbour: test_hosts.py.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NETWORK = "10.77.0"


@dataclass(frozen=True)
class Host:
    """A namespace with an address."""

    name: str
    address: str
    port: tuple[str, str]  # of the bridge: the bridge's namespace, and the port's name

    def cut(self, *, cut: bool = True) -> None:
        """Cut the host off from the others, or connect it again: what it sends and is sent is lost, and nobody is told."""
        _ip("-n", self.port[0], "link", "set", self.port[1], "down" if cut else "up")

    def command(self, *arguments: object) -> list[str]:
        """A command as it is run on the host."""
        return ["ip", "netns", "exec", self.name, *map(str, arguments)]


def why_not() -> str | None:
    """Why namespaces cannot be made here, or None."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root and the program ip (iproute2)"
    probe = f"probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True, text=True)
    if made.returncode:
        return f"ip netns add: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


@contextmanager
def hosts(count: int) -> Iterator[list[Host]]:
    """So many hosts on one bridge, which lies in a namespace too; all are removed on the way out."""
    switch = f"switch-{os.getpid()}"
    with ExitStack() as removed:
        for name in (switch, *(f"host-{os.getpid()}-{number}" for number in range(count))):
            _ip("netns", "add", name)
            removed.callback(_ip, "netns", "del", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", switch, "link", "add", "bridge0", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge0", "up")
        made = [
            Host(f"host-{os.getpid()}-{number}", f"{NETWORK}.{number + 1}", (switch, f"port{number}"))
            for number in range(count)
        ]
        for number, host in enumerate(made):
            _ip(
                "-n", switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", host.name
            )
            _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge0", "up")
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")
        yield made


def stand_in_for_ssh(path: Path, known: list[Host]) -> Path:
    """A program that runs a line on a host by its address, as ssh does; there is no sshd in a namespace."""
    cases = "".join(f'  {host.address}) exec ip netns exec {host.name} sh -c "$2" ;;\n' for host in known)
    path.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}esac\necho "no host $1" >&2\nexit 255\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
