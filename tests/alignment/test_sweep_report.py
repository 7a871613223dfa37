"""The report's section of a budget sweep: there where a sweep is, exact where it can be read, inert where it is hostile."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_run import HOSTILE, put, scored, write_run

from alignment.report import write_report

HASH = "4" * 64


def point(budget: int | None, share: float, **changes: Any) -> dict[str, Any]:
    """A point of mode_fusion with four samples, whose votes gain a little."""
    votes = [
        {"votes": size, "mean_tokens": 50 * size, "majority": share, "best_of_upper_bound": min(1.0, share + 0.1)}
        for size in (1, 2, 4)
    ]
    measures = {"mean_thinking_tokens": (budget or 0) / 2, "mean_answer_tokens": 8, "forced_fraction": 0.5,
                "finished_fraction": 0.4, "votes": votes}  # fmt: skip
    place = {"stage": "mode_fusion", "task": "sums", "mode": "non_thinking" if budget is None else "thinking"}
    return place | {"budget": budget} | scored(share) | measures | changes


def sweep(*points: object, policy: str = HASH) -> dict[str, Any]:
    knees = [{"stage": "mode_fusion", "task": "sums", "budget": 64}, {"stage": "x", "task": "sums", "budget": None}]
    return {"schema": 1, "stages": [{"stage": "mode_fusion", "policy": policy}], "points": points, "knees": knees}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "tiny")
    put(run / "budget" / "budget.json", sweep(point(0, 0.4), point(64, 0.7), point(256, 0.72), point(None, 0.3)))
    return run


def test_a_run_without_a_sweep_has_no_such_section(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    assert write_report(run)["sweep"] is None
    assert "Test-time compute" not in (run / "report.html").read_text(encoding="utf-8")


def test_the_section_has_curve_knee_dashed_line_and_votes(run: Path) -> None:
    document = write_report(run)
    assert document["sweep"]["knees"] == [{"stage": "mode_fusion", "task": "sums", "budget": 64.0}]
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("Test-time compute") : page.index("<h2>Training</h2>")]
    assert section.count('class="ring line-0"') == 1 and "64 (knee)" in section
    assert section.count('class="level line-0"') == 1 and "no thinking 30.0" in section
    assert "votes, budget 64" in section and "path line-1 bound" in section and "upper bound" in section
    text = (run / "report.md").read_text(encoding="utf-8")
    assert "## Test-time compute" in text and "| 64 (knee) | 70.0 |" in text


def test_the_schema_in_the_documentation_accepts_a_sweep(run: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    document = write_report(run)
    jsonschema.validate(document, json.loads(page.split("```json\n")[1].split("```")[0]))
    assert json.loads((run / "report.json").read_text(encoding="utf-8")) == document


def test_several_stages_stand_in_one_picture_each_in_its_colour(run: Path) -> None:
    other = [
        point(0, 0.2, stage="cold_start"),
        point(64, 0.3, stage="cold_start"),
        point(None, 0.1, stage="cold_start"),
    ]
    put(run / "budget" / "budget.json", sweep(*other, point(0, 0.4), point(64, 0.7), point(None, 0.3)))
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("Test-time compute") : page.index("<h2>Training</h2>")]
    assert "cold_start 30.0" in section and "mode_fusion 70.0" in section
    assert len(re.findall(r'class="level line-[01]"', section)) == 2


def test_points_that_cannot_be_read_are_left_out_with_a_note(run: Path) -> None:
    broken = [
        point(0, 0.4) | {"accuracy": None},
        point(0, 0.4) | {"mode": "dreaming"},
        point(0, 0.4) | {"count": "all"},
    ]
    whole = [point(64, 0.7, votes="none"), point(256, 0.7, votes=[{"votes": 2}])]
    put(run / "budget" / "budget.json", sweep(*broken, *whole))
    document = write_report(run)
    assert [one["budget"] for one in document["sweep"]["points"]] == [64.0, 256.0]
    assert any("budget/budget.json has 3 points that cannot be read" in note for note in document["notes"])


def test_a_sweep_of_a_policy_that_was_made_anew_is_named(run: Path) -> None:
    assert not any("another policy" in note for note in write_report(run)["notes"])
    put(run / "budget" / "budget.json", sweep(point(0, 0.4), point(64, 0.7), policy="0" * 64))
    assert any("sweep of mode_fusion was measured on another policy" in note for note in write_report(run)["notes"])


def test_hostile_names_in_a_sweep_are_inert(run: Path) -> None:
    hostile = {"stage": HOSTILE, "task": HOSTILE}
    put(run / "budget" / "budget.json", sweep(point(0, 0.4, **hostile), point(64, 0.7, **hostile)))
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
