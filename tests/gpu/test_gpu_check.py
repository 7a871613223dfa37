"""The GPU check is ready before a GPU is: its rehearsal on a CPU, and what it writes when a part goes wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from alignment.run.forks.server import SHARED
from smoke.processes import with_forks

ROOT = Path(__file__).parents[2]
EVERYWHERE = {"correctness": 7, "memory": 1, "sft": 4, "grpo": 2, "recipe_gpu": 3}  # lines that hold on any machine


def check(out: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the check as its page says, results in a folder."""
    env = {**os.environ, "PYTHON": sys.executable, "OUT": str(out), **environment}
    command = ["bash", "benchmarks/gpu/run.sh", "--rehearse", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=900)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_whole_check_is_rehearsed_on_a_cpu(tmp_path: Path) -> None:
    python = tmp_path / "python"
    part, ranks = Path(__file__).with_name("forked_part.py"), ROOT / "tests/ranks"
    text = f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{ranks}" exec {sys.executable} {part} "$@"\n'
    python.write_text(text, encoding="utf-8")
    python.chmod(0o755)
    done = check(tmp_path, PYTHON=str(python), **{SHARED: with_forks()[SHARED]})
    found = lines(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(set(line) == {"part", "name", "value", "unit", "expect", "ok", "card", "reason"} for line in found)
    assert [line for line in found if line["ok"] is False or line["name"] in ("failed", "skipped")] == []
    holding = [line["part"] for line in found if line["ok"]]
    assert {part: holding.count(part) for part in EVERYWHERE} == EVERYWHERE
    assert {line["card"] for line in found} == {"CPU"}
    table = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert table in done.stdout
    assert all(f"| {line['part']} | {line['name']} |" in table for line in found)


def test_a_part_that_cannot_start_or_does_not_end_is_a_line_and_the_next_one_is_tried(tmp_path: Path) -> None:
    done = check(tmp_path, "--parts", "sft,grpo", SECONDS_IN_ALL="5")
    found = lines(tmp_path)
    assert done.returncode == 1
    assert [line["part"] for line in found] == ["sft", "grpo"]
    assert all((line["name"], line["ok"], line["value"]) == ("failed", False, None) for line in found)
    assert "at its limit of" in found[0]["reason"]
    assert found[-1]["reason"].startswith("not started")


def test_a_part_whose_module_cannot_be_imported_names_the_module(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "transformers.py").write_text("import no_such_module\n", encoding="utf-8")
    done = check(tmp_path, "--parts", "attention", PYTHONPATH=str(tmp_path / "broken"))
    assert done.returncode == 1
    assert "No module named 'no_such_module'" in lines(tmp_path)[0]["reason"]


def test_a_part_that_nobody_has_written_is_refused(tmp_path: Path) -> None:
    done = check(tmp_path, "--parts", "sft,speed")
    assert done.returncode == 2
    assert "there is no part speed" in done.stderr
