"""docs/first-hour.md shows what the commands print: those that are quick are run, and their output is compared.

A block of the page that begins with `$ ` is a command and its output. `...` stands for lines that the page leaves out.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from alignment.cli import COMMANDS

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "first-hour.md").read_text(encoding="utf-8")
BLOCKS = [block.splitlines() for block in re.findall(r"^```\n(\$ .*?)^```", PAGE, re.DOTALL | re.MULTILINE)]
QUICK = [lines for lines in BLOCKS if lines[0].startswith("$ alignment check")]


def printed(line: str) -> str:
    """What a command of the page prints, as wide as the page."""
    command = [sys.executable, "-m", "alignment.cli", *shlex.split(line)[1:]]
    environment = {"COLUMNS": "110", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, env=environment)
    return found.stdout + found.stderr


@pytest.mark.parametrize("lines", QUICK, ids=lambda lines: lines[0][2:80])
def test_a_quick_command_prints_what_the_page_shows(lines: list[str]) -> None:
    output = [line.rstrip() for line in printed(lines[0][2:]).splitlines()]
    shown = [line.rstrip() for line in lines[1:] if line != "..."]
    assert [line for line in shown if line not in output] == []


def test_the_page_has_quick_commands_and_an_error() -> None:
    assert len(QUICK) >= 3
    assert any("nothing was started" in line for lines in QUICK for line in lines)


def test_every_command_of_the_page_exists() -> None:
    known = {command.__name__.rstrip("_") for command in COMMANDS}
    used = {lines[0].split()[2] for lines in BLOCKS if lines[0].startswith("$ alignment ")}
    assert used <= known
    assert {"check", "run", "show", "chat", "budget"} <= used


def test_the_stages_of_the_page_are_those_of_the_recipe() -> None:
    from alignment.run.plan import RunPlan

    recipe = RunPlan.load(REPOSITORY / "recipes" / "tiny-thinking.yaml", []).recipe
    table = next(lines for lines in BLOCKS if lines[0] == "$ alignment run recipes/tiny-thinking.yaml")
    assert [name for name in recipe.stage_names if not any(line.startswith(name) for line in table)] == []
