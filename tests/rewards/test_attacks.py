"""The table of attacks, with each way to isolate and as root and as an ordinary user: nothing gets out or is rewarded.

The table is in attacks.py and its three neighbours. A program that has no score escaped being judged, which counts as
a hole here too.
"""

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attacks import TABLE, TIMEOUT_SECONDS, run_all
from attacks_escape import ESCAPE

from rewards.sandbox import IsolationUnavailable, Sandbox

HERE = Path(__file__).parent
NOBODY = "65534"
SPARE_SECONDS = 1.0
PATH = os.pathsep.join([str(HERE), str(HERE.parents[1])])


# A command can be started by the rights of root and be unreadable for who it becomes.
READABLE = "import os, sys, rewards.kinds.python_tests; assert sys.version_info >= (3, 11); open(os.path.realpath(sys.executable))"


@cache
def ordinary_user() -> list[str] | str:
    """The command that runs Python as an ordinary user, or the reason why there is none."""
    if os.geteuid() != 0:
        return "the tests already run as an ordinary user"
    if shutil.which("setpriv") is None:
        return "setpriv is not installed"
    become = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        check = [*become, python, "-c", READABLE]
        environment = {"PYTHONPATH": PATH, "PATH": os.environ["PATH"]}
        if shutil.which(python) and not subprocess.run(check, env=environment, cwd="/", capture_output=True).returncode:
            return [*become, python]
    return "no Python 3.11 and this checkout can be read by an ordinary user"


@cache
def outcome(who: str, isolation: str) -> dict[str, Any] | str:
    """What came of the table, run in a process of its own; or the reason why it cannot be run."""
    command: list[str] | str = [sys.executable] if who == "this user" else ordinary_user()
    if isinstance(command, str):
        return command
    if who == "this user":
        try:
            with Sandbox(isolation, workers=1) as sandbox:  # type: ignore[arg-type]
                sandbox.open()
        except IsolationUnavailable as error:
            return str(error)
    environment = {"PYTHONPATH": PATH, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    table = "escape" if isolation == "namespaces" else "all"
    found = subprocess.run(
        [*command, str(HERE / "attacks.py"), isolation, table], env=environment, cwd="/", capture_output=True, text=True
    )
    if "IsolationUnavailable" in found.stderr:
        return found.stderr.strip().splitlines()[-1]
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    return {"left": told["left"], "results": {one["name"]: one for one in told["results"]}}


def known(who: str, isolation: str) -> dict[str, Any]:
    """What came of the table; skips where it cannot be run."""
    found = outcome(who, isolation)
    if isinstance(found, str):
        pytest.skip(found)
    return found


RUNS = [("this user", "auto"), ("an ordinary user", "auto"), ("this user", "namespaces")]
CASES = [(who, isolation, name) for who, isolation in RUNS for name in (TABLE if isolation == "auto" else ESCAPE)]


def patience() -> float:
    """Seconds beyond the limit: one, and more on a machine that has more to do than it has cores."""
    return SPARE_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize(("who", "isolation", "name"), CASES, ids=[f"{n}-{w}-{i}" for w, i, n in CASES])
def test_an_attack_gains_nothing_and_ends_in_time(who: str, isolation: str, name: str) -> None:
    result = known(who, isolation)["results"][name]
    assert result["score"] == 0.0, result
    runs = 2 if isinstance(TABLE[name], tuple) else 1  # test code waits for the program, and has its own start
    assert result["seconds"] < TIMEOUT_SECONDS * runs + patience(), result


@pytest.mark.parametrize(("who", "isolation"), RUNS)
def test_after_all_of_them_nothing_is_left(who: str, isolation: str) -> None:
    assert known(who, isolation)["left"] == []


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert len(TABLE) >= 80


def test_the_table_finds_holes_where_there_are_some() -> None:
    """Without namespaces these get out, which shows that inside them they fail for the right reason."""
    names = ["read_a_host_file", "read_passwords", "list_processes", "see_host_processes", "connect_to_a_unix_socket",
             "connect_to_an_abstract_socket"]  # fmt: skip
    assert {one.name: one.score for one in run_all("none", names)} == dict.fromkeys(names, 1.0)
