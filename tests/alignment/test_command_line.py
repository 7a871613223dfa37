"""The command line answers at once: what lists and explains commands imports none of what they work with."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from alignment.cli import COMMANDS

REPOSITORY = Path(__file__).parents[2]
VERBS = [*(command.__name__ for command in COMMANDS), "model"]  # whose verbs are inspect and convert
ROOMS_IMPORTED = """
import json, sys
import alignment.cli
sys.argv = ["alignment", *json.loads(sys.argv[1])]
try: alignment.cli.main()
except SystemExit as ended: status = ended.code
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("alignment.")}
print(json.dumps([status, sorted(rooms), [name for name in ("rewards", "numpy", "torch") if name in sys.modules]]))
"""


def imported(*arguments: str) -> list[object]:
    command = [sys.executable, "-c", ROOMS_IMPORTED, json.dumps(arguments)]
    found = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    return list(json.loads(found.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("--help",), ("evaluate", "--help")], ids=" ".join)
def test_help_imports_nothing_that_a_command_works_with(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) == [0, ["cli", "commands", "core"], []]


def test_help_lists_every_command_with_what_it_is_for() -> None:
    command = [sys.executable, "-m", "alignment.cli", "--help"]
    shown = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    listed = [line.split() for line in shown.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    assert [words[0] for words in listed] == VERBS
    assert all(len(words) > 3 for words in listed)


def test_every_verb_has_its_file() -> None:
    folder = REPOSITORY / "alignment" / "commands"
    files = {path.stem for path in folder.iterdir() if path.stem != "options" and not path.name.startswith("__")}
    assert files == set(VERBS)


@pytest.mark.parametrize(("given", "whole"), [({}, True), ({"COLUMNS": "80"}, False)])
def test_lines_in_a_pipe_are_not_wrapped_unless_columns_are_asked_for(
    given: dict[str, str], whole: bool, tmp_path: Path
) -> None:
    """A path that is broken in two cannot be opened."""
    path = str(tmp_path / f"{'long_' * 20}.yaml")
    code = f"from alignment.core.console import open_console; open_console().print({path!r})"
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | given
    shown = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=60
    )
    assert (shown.stdout == f"{path}\n") == whole


def test_commands_print_to_the_consoles_of_this_project() -> None:
    """One of rich's own would wrap at 80 columns wherever no terminal says how wide it is."""
    others = [
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "alignment").rglob("*.py")
        if re.search(r"(?<![\w.])Console\(", path.read_text(encoding="utf-8"))
    ]
    assert others == ["alignment/core/console.py"]
