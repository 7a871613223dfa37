"""A verifier of programs where this machine can isolate them; elsewhere the test is skipped, with the reason."""

from collections.abc import Iterator
from typing import Any

import pytest

from rewards.kinds.python_tests.verifier import PythonTests
from rewards.sandbox import IsolationUnavailable, Sandbox


def verifier_here(**options: Any) -> Iterator[PythonTests]:
    """PythonTests with these options, until the tests that share it are done."""
    try:
        with Sandbox(workers=1) as sandbox:
            sandbox.open()
    except IsolationUnavailable as error:
        pytest.skip(str(error))
    made = PythonTests(**options)
    yield made
    made.close()
