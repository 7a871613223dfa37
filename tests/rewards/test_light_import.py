"""Rewards are imported name by name: who reads a row or the contract loads no verifier, and every public name is there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rewards


@pytest.mark.parametrize("module", ["alignment.data.rows", "alignment.data.chat.template", "rewards.contract"])
def test_rows_and_the_contract_load_no_verifier_and_no_sandbox(module: str) -> None:
    code = f"import sys, {module}; print([name for name in sys.modules if name.startswith(('rewards.kinds', 'rewards.sandbox'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_every_public_name_is_what_a_type_checker_sees() -> None:
    tree = ast.parse(Path(rewards.__file__).read_text(encoding="utf-8"))
    checked = {
        alias.name: node.module
        for outer in tree.body
        if isinstance(outer, ast.If)
        for node in outer.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert checked == rewards._MODULES and sorted(checked) == sorted(rewards.__all__)
    assert all(getattr(rewards, name) is not None for name in rewards.__all__)


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'verdict'"):
        rewards.verdict  # noqa: B018
