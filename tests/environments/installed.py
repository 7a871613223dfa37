"""Pythons with other people's packages: each is made once, from the registry, and goes with the tests.

A package has dependencies of its own, which would not fit this project's environment. Whose packages cannot be installed here
are skipped, with what the installer said. Neighbours: guessing.py and test_verifiers.py (their servers).
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

OPENENV, VERIFIERS, NEMO_GYM = "openenv==0.10.0", "verifiers==0.4.0", "nemo-gym==0.7.0"
LEAST_PYTHON = {NEMO_GYM: (3, 13)}
MADE_FOR = {NEMO_GYM: "3.13.14"}  # it asks for a bug-fix release, of which it uses nothing
SECONDS = 600


def python_with(package: str) -> str:
    """The path of a Python that has the package. Skips the test, with a reason, where it cannot be installed."""
    python, reason = _made(package)
    if python is None:
        pytest.skip(f"{package} cannot be installed here: {reason}")
    return python


@cache
def _made(package: str) -> tuple[str | None, str]:
    uv, interpreter = _uv(), _interpreter(LEAST_PYTHON.get(package, (3, 11)))
    if uv is None or interpreter is None:
        return None, "there is no uv" if uv is None else f"there is no Python {LEAST_PYTHON[package]} or later"
    folder = Path(tempfile.mkdtemp(prefix="alignment-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    python = folder / "bin" / "python"
    release = ["--python-version", MADE_FOR[package]] if package in MADE_FOR else []
    for command in (
        [uv, "venv", "--quiet", "--allow-existing", "--python", interpreter, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *release, package],
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None, f"it took more than {SECONDS} seconds"
        if done.returncode:
            return None, " ".join(done.stderr.split())[:400]
    return str(python), ""


def _uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")  # `make setup` puts it there
    return str(beside) if beside.exists() else shutil.which("uv")


def _interpreter(least: tuple[int, int]) -> str | None:
    """This Python if it is new enough, or one on the path or of pyenv."""
    if sys.version_info >= least:
        return sys.executable
    name = f"python{least[0]}.{least[1]}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    of_pyenv = sorted(map(str, pyenv.glob(f"{least[0]}.{least[1]}.*/bin/python")))
    for candidate in (shutil.which(name), *of_pyenv):  # pyenv's own command on the path may refuse to start
        if candidate and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None
