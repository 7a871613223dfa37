"""The report's section of a budget sweep: there where a sweep is, exact where it can be read, inert where it is hostile."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_run import HOSTILE, point, put, put_sweep, reported, write_run

from alignment.core.typed_json import encode
from alignment.report import write_report


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "tiny")
    put_sweep(run, point(0, 0.4), point(64, 0.7), point(256, 0.72), point(None, 0.3))
    return run


def test_a_run_without_a_sweep_has_no_such_section(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    (run / "budget" / "budget.json").unlink()
    assert write_report(run).sweep is None
    assert "<h2>Thinking budget</h2>" not in (run / "report.html").read_text(encoding="utf-8")


def test_the_section_has_curve_knee_dashed_line_and_votes(run: Path) -> None:
    assert reported(run)["sweep"]["curves"] == [{"stage": "mode_fusion", "task": "sums", "knee": 64, "spearman": 1.0}]
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("<h2>Thinking budget</h2>") : page.index("<h2>Training</h2>")]
    assert section.count('class="ring line-0"') == 1 and "64 (knee)" in section
    assert section.count('class="level line-0"') == 1 and "no thinking 30.0" in section
    assert "votes, budget 64" in section and "path line-1 bound" in section and "upper bound" in section
    text = (run / "report.md").read_text(encoding="utf-8")
    assert "## Thinking budget" in text and "| 64 (knee) | 70.0 |" in text


def test_the_schema_in_the_documentation_accepts_a_sweep(run: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = (Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8")
    validator = jsonschema.validators.validator_for(json.loads(schema))(json.loads(schema))
    assert [fault.message for fault in validator.iter_errors(reported(run))] == []


def test_one_sample_a_problem_is_shown_over_the_tokens_spent(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("<h2>Thinking budget</h2>") : page.index("<h2>Training</h2>")]
    assert "Accuracy over tokens spent" in section and "more votes" not in section and "correlation" in section
    assert "majority" not in section.split("<table>")[1], "no vote was taken"


def test_several_stages_stand_in_one_picture_each_in_its_colour(run: Path) -> None:
    other = [
        point(0, 0.2, stage="cold_start"),
        point(64, 0.3, stage="cold_start"),
        point(None, 0.1, stage="cold_start"),
    ]
    put_sweep(run, *other, point(0, 0.4), point(64, 0.7), point(None, 0.3))
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index("<h2>Thinking budget</h2>") : page.index("<h2>Training</h2>")]
    assert "cold_start 30.0" in section and "mode_fusion 70.0" in section
    assert len(re.findall(r'class="level line-[01]"', section)) == 2


def test_points_that_cannot_be_read_are_left_out_with_a_note(run: Path) -> None:
    good: dict[str, Any] = encode(point(64, 0.7))
    broken = [good | {"accuracy": "high"}, good | {"mode": "dreaming"}, good | {"count": "all"}]
    whole = [good | {"votes": "none"}, good | {"budget": 256, "votes": [{"votes": 2}]}]
    put(run / "budget" / "budget.json", {"points": [*broken, *whole]})
    document = reported(run)
    assert [(one["budget"], one["votes"]) for one in document["sweep"]["points"]] == [(64, []), (256, [])]
    assert any("budget/budget.json has 3 points that cannot be read" in note for note in document["notes"])


def test_a_sweep_of_a_retrained_policy_is_named(run: Path) -> None:
    assert not any("another policy" in note for note in write_report(run).notes)
    put_sweep(run, point(0, 0.4), point(64, 0.7), policy="0" * 64)
    assert any("sweep of mode_fusion was measured on another policy" in note for note in write_report(run).notes)


def test_hostile_names_in_a_sweep_are_inert(run: Path) -> None:
    put_sweep(run, point(0, 0.4, HOSTILE, HOSTILE), point(64, 0.7, HOSTILE, HOSTILE))
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "<img" not in page and "&lt;script&gt;" in page
