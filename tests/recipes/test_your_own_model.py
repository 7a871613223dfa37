"""docs/your-own-model.md: its files and commands are taken from the page and run; the quick ones print what it shows.

A block that follows "Save this as `NAME`" is a file, one that begins with `$ ` a command and its output. The model is the
embedded one. The stages themselves are run by a test that is marked long.
"""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alignment.cli import COMMANDS
from alignment.run.plan import RunPlan

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "your-own-model.md").read_text(encoding="utf-8")
FILES = dict(
    re.findall(r"Save this as `([^`]+)`[^\n]*\n(?:[^`\n][^\n]*\n)*\n```\w+\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
)
BLOCKS = [block.splitlines() for block in re.findall(r"^```\n(\$ .*?)^```", PAGE, re.DOTALL | re.MULTILINE)]
COMMAND_LINES = [lines[0][2:] for lines in BLOCKS]
QUICK = [lines for lines in BLOCKS if lines[0].startswith(("$ alignment check", "$ alignment data"))]
PROGRAMS = {"alignment": [sys.executable, "-m", "alignment.cli"], "python": [sys.executable]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page, its made-up rows and a model."""
    made = tmp_path_factory.mktemp("walk")
    for name, text in FILES.items():
        (made / name).write_text(text, encoding="utf-8")
    shutil.copytree(REPOSITORY / "data" / "base", made / "my-model")
    done = run("python make_rows.py", made)
    assert done.returncode == 0, done.stderr
    return made


def run(line: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A command of the page in a folder, as wide as the page."""
    program, *arguments = shlex.split(line)
    command = [*PROGRAMS.get(program, [program]), *arguments]
    environment = {"COLUMNS": "100", "PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1200, env=environment)


def shown(lines: list[str]) -> list[str]:
    return [line.rstrip() for line in lines[1:] if line.strip() and line != "..."]


def test_the_page_has_every_file_that_it_names() -> None:
    assert set(FILES) == {"make_rows.py", "my_rewards.py", "sums.yaml", "recipe.yaml", "ask.py"}


def test_the_rows_are_as_many_as_the_page_says(folder: Path) -> None:
    counts = {
        name: len((folder / name).read_text().splitlines()) for name in ("chats.jsonl", "pairs.jsonl", "held_out.jsonl")
    }
    assert counts == {"chats.jsonl": 500, "pairs.jsonl": 200, "held_out.jsonl": 60}


@pytest.mark.parametrize("lines", QUICK, ids=lambda lines: lines[0][2:60])
def test_a_quick_command_prints_what_the_page_shows(folder: Path, lines: list[str]) -> None:
    done = run(lines[0][2:], folder)
    printed = [line.rstrip().replace(str(folder), "…") for line in (done.stdout + done.stderr).splitlines()]
    assert [line for line in shown(lines) if line not in printed] == []


def test_every_command_and_stage_of_the_page_exists(folder: Path) -> None:
    known = {command.__name__.rstrip("_") for command in COMMANDS}
    assert {line.split()[1] for line in COMMAND_LINES if line.startswith("alignment ")} <= known
    (table,) = (lines for lines in BLOCKS if lines[0] == "$ alignment run recipe.yaml")
    names = RunPlan.load(folder / "recipe.yaml", []).recipe.stage_names
    assert [name for name in names if not any(line.startswith(name) for line in table)] == []


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_command_of_the_page_runs_to_its_end(folder: Path) -> None:
    for line in COMMAND_LINES:
        if line.startswith(("cp ", "python make_rows")) or "longst" in line:
            continue
        done = run(line, folder)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        assert "damaged" not in done.stdout
    report = (folder / "runs" / "my-model" / "report.md").read_text(encoding="utf-8")
    assert "From tune to reinforce" in report
    assert "sums" in (folder / "runs" / "my-model" / "report.json").read_text(encoding="utf-8")
    assert (folder / "merged" / "model.safetensors").is_file()
