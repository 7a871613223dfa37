"""`alignment budget` on the embedded model as a user starts it: its files, its JSON, going on, and changed settings."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from alignment.records.sweep import read_outcomes
from smoke.processes import alignment, killed_when, lines
from smoke.small_recipe import cold_start, write_recipe

BASE = Path(__file__).parents[2] / "data" / "base"
PROMISED = {"stage", "task", "mode", "budget", "count", "accuracy", "accuracy_low", "accuracy_high",
            "mean_thinking_tokens", "mean_answer_tokens", "forced_fraction"}  # fmt: skip


def options(output: Path, budgets: str, count: int) -> list[object]:
    return [
        "budget", BASE, "--tasks", "chain-sum", "--budgets", budgets, "--samples", 2, "--count", count, "--engine",
        "transformers", "--max-completion-tokens", 40, "--stop-text", "\n</think>\n\n", "--output", output,
        "--json",
    ]  # fmt: skip


def swept(output: Path, budgets: str, count: int = 8, *more: object) -> tuple[list[dict[str, Any]], str]:
    """The points on standard output, and what was said on standard error."""
    done = alignment(*options(output, budgets, count), *more)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that was killed outright when its first point was recorded."""
    folder = tmp_path_factory.mktemp("budget")
    killed_when(lambda: lines(folder / "points.jsonl") > 0, *options(folder, "0,16", 8))
    return folder


def test_resuming_measures_what_is_missing_and_changed_settings_are_kept_apart(output: Path) -> None:
    first = (output / "points.jsonl").read_text(encoding="utf-8")
    recorded = first.count("\n")
    points, said = swept(output, "0,16")
    assert [(point["mode"], point["budget"]) for point in points] == [
        ("thinking", 0),
        ("thinking", 16),
        ("non_thinking", None),
    ]
    assert f"{recorded} of 3 points are already measured" in said
    assert (output / "points.jsonl").read_text(encoding="utf-8").startswith(first) and lines(
        output / "points.jsonl"
    ) == 3

    assert set(points[0]) >= PROMISED
    assert [point["count"] for point in points] == [16] * 3, "eight problems, two samples each"
    assert all(point["accuracy_low"] <= point["accuracy"] <= point["accuracy_high"] for point in points)
    assert all(point["forced_fraction"] + point["finished_fraction"] <= 1 for point in points)
    assert points[2]["forced_fraction"] == 0.0
    assert [vote["votes"] for vote in points[0]["votes"]] == [1, 2]

    document = json.loads((output / "budget.json").read_text(encoding="utf-8"))
    assert document["points"] == points and document["knees"][0]["stage"] == "base"
    assert [(one["mode"], one["budget"]) for one in document["outcomes"]] == [(p["mode"], p["budget"]) for p in points]
    for point, place in zip(points, document["outcomes"], strict=True):
        outcomes = read_outcomes(output / place["file"])
        assert len(outcomes) == len({one.problem for one in outcomes}) == 8
        right = [score for one in outcomes for score in one.correct]
        assert sum(map(bool, right)) / len(right) == pytest.approx(point["accuracy"], abs=1e-4)
        assert all(len(one.groups) == len(one.thinking_tokens) == 2 and one.prompt_tokens > 10 for one in outcomes)
        spent = [tokens for one in outcomes for tokens in one.thinking_tokens]
        assert sum(spent) / len(spent) == pytest.approx(point["mean_thinking_tokens"], abs=0.01)
    with (output / "budget.csv").open(encoding="utf-8", newline="") as file:
        assert [row["budget"] for row in csv.DictReader(file)] == ["0", "16", ""]
    assert (output / "budget.png").read_bytes()[:4] == b"\x89PNG"

    again, said = swept(output, "0,16")
    assert again == points and "3 of 3 points are already measured" in said, "nothing was measured again"

    fewer, said = swept(output, "0", 4, "--modes", "thinking")
    assert "task.count: 8 → 4 " in " ".join(said.split()) and "kept there and not used" in " ".join(said.split())
    assert [point["count"] for point in fewer] == [8]
    assert lines(output / "points.jsonl") == 4


def test_an_option_that_cannot_work_is_said_without_a_traceback() -> None:
    done = alignment("budget", BASE, "--tasks", "chain-sum", "--budgets", "64", "--max-completion-tokens", 40)
    assert done.returncode == 2 and done.stdout == ""
    assert "a budget of 64 leaves no room" in done.stderr and "Traceback" not in done.stderr


def test_the_sweep_that_ends_a_recipe_is_killed_and_resumed_point_by_point(tmp_path: Path) -> None:
    evaluations = {
        "after_each_stage": ["chain-sum"], "count": 8, "follow_count": 2, "max_prompt_tokens": 96, "engine": "transformers",
        "max_completion_tokens": 48, "thinking_budget": {"stop_text": "\n</think>\n\n"}, "budgets": [0, 16, 24],
    }  # fmt: skip
    recipe = write_recipe(tmp_path / "small.yaml", cold_start(), evaluations=evaluations)
    points = tmp_path / "run" / "budget" / "points.jsonl"
    killed_when(lambda: lines(points) > 0, "run", recipe, "--run", tmp_path / "run")
    first = points.read_text(encoding="utf-8")
    done = alignment("run", recipe, "--run", tmp_path / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"(1 of {4 - first.count(chr(10))})" in done.stdout, "what was measured is not measured again"
    assert points.read_text(encoding="utf-8").startswith(first) and lines(points) == 4
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    assert [point["budget"] for point in report["sweep"]["points"]] == [0, 16, 24, None]
    assert [one["task"] for one in report["sweep"]["curves"]] == ["chain-sum"]
    again = alignment("run", recipe, "--run", tmp_path / "run")
    assert again.returncode == 0 and "sweeping" not in again.stdout and lines(points) == 4
