"""Kind `python_tests`: does the program in a rollout's answer pass the tests of its row?

verifier.py judges · rows.py reads a row's tests and finds the program · table.py is the audit table. rewards/sandbox/
runs the program.
"""

from collections.abc import Mapping
from typing import Any

from rewards.contract import fenced_program
from rewards.kind import Gold, Kind
from rewards.kinds.python_tests.table import ROWS
from rewards.kinds.python_tests.verifier import PythonTests, check_tests


def gold_program(columns: Mapping[str, Any]) -> str:
    """A row's `solution` as a model would give it: fenced, where it is not already."""
    return fenced_program(str(columns.get("solution", "")))


def row_fault(columns: Mapping[str, Any]) -> str | None:
    """Why a row's tests can never be judged, or None."""
    tests = columns.get("tests")
    return None if tests is None else check_tests(tests)


KIND = Kind("python_tests", PythonTests, ROWS, Gold(gold_program, "solution"), row_fault)
