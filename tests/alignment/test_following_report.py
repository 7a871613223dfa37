"""The report's sections on flags over several turns and on where thinking helps: exact, whole, and inert where hostile."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_run import HOSTILE, put, reported, write_run
from rich.console import Console

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import encode
from alignment.records.constraints import (
    ConstraintsRecord,
    ConstraintTask,
    ConstraintType,
    DemandComparison,
    ModeAnswers,
)
from alignment.records.follow import FollowFigures, FollowGroup, FollowRecord
from alignment.records.run_folder import StageFolder
from alignment.report import Report, write_report
from alignment.report.render.terminal import following_tables

STAGE = "04-mode_fusion"


def around(share: float) -> Estimate:
    return Estimate(share, share - 0.1, share + 0.1)


def follow(obeyed: float, *more: FollowGroup) -> FollowRecord:
    values = {"position": ("1", "2"), "switch": ("changed", "same"), "mode": ("non_thinking", "thinking")}
    groups = [FollowGroup(by, value, 60, around(obeyed)) for by in values for value in values[by]]
    figures = FollowFigures(60, 2, 118, around(obeyed), 0.6, 0.7, 7, 2, 12.5, (*groups, *more))
    return FollowRecord(figures)


def demand(name: str, gap: float, verdict: Any) -> DemandComparison:
    return DemandComparison(name, "strict", 40, 40, around(0.5 + gap), around(0.5), around(gap), verdict)


def constraints(task: str = "constraints", caution: str = "thinking was cut off") -> ConstraintsRecord:
    mode = ModeAnswers(80, 0.9, 0.0, 31.5)
    demands = (demand("planning", 0.2, "helps"), demand("precision", -0.3, "hurts"))
    one = ConstraintType("punctuation:no_comma", "precision", 40, 0.2, 0.5)
    modes = {"thinking": mode, "non_thinking": mode}
    return ConstraintsRecord((ConstraintTask(task, demands, 80, 0, modes, (one,), (caution,)),), seed=1)  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "tiny")
    follow(0.8).write(run / STAGE / "evaluations" / "follow.json")
    constraints().write(run / STAGE / "evaluations" / "constraints.json")
    return run


def printed(report: Report, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(*following_tables(report, width), sep="\n")
    return console.export_text()


def test_a_run_without_them_has_no_such_sections(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    document = write_report(run)
    assert [(stage.follow, stage.constraints) for stage in document.stages] == [(None, ())] * 4
    for name in ("report.html", "report.md"):
        text = (run / name).read_text(encoding="utf-8")
        assert "several turns" not in text and "Where thinking helps" not in text
    assert list(following_tables(document)) == []


def test_the_schema_in_the_documentation_accepts_both(run: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    document = reported(run)
    jsonschema.validate(document, schema)
    document["stages"][3]["constraints"][0]["demands"][0]["verdict"] = "surely helps"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_every_form_says_the_same_and_a_loss_as_plainly_as_a_gain(run: Path) -> None:
    document, stage = write_report(run), reported(run)["stages"][3]
    ends = {"obeyed": 0.8, "obeyed_low": 0.8 - 0.1, "obeyed_high": 0.8 + 0.1}
    assert stage["follow"]["groups"][0] == {"by": "position", "value": "1", "count": 60} | ends
    assert stage["constraints"][0]["demands"][1]["difference"] == -0.3
    assert stage["evaluation_seconds"] == 3.0 + 3.0 + 12.5
    text = (run / "report.md").read_text(encoding="utf-8")
    page = (run / "report.html").read_text(encoding="utf-8")
    for form in (text, page, printed(document, 80), printed(document, 200)):
        assert "mode changed" in form and "80.0 (70.0–90.0)" in form and "60.0" in form
        assert "+20.0 (+10.0 to +30.0)" in form and "−30.0 (−40.0 to −20.0)" in form
        assert "helps" in form and "hurts" in form
    for form in (text, page):
        assert "mode_fusion, constraints: thinking was cut off".replace("_", "\\_" if form is text else "_") in form
        assert "No difference seen is not no difference" in form
    assert "punctuation:no_comma" in page


def test_a_narrow_terminal_is_shown_the_last_stage_whole_and_a_wide_one_all(run: Path) -> None:
    follow(0.3).write(run / "02-reasoning_rl" / "evaluations" / "follow.json")
    document = write_report(run)
    narrow, wide = printed(document, 80), printed(document, 120)
    assert "reasoning_rl" not in narrow and "80.0 (70.0–90.0)" in narrow
    assert "30.0 (20.0–40.0)" in wide and "80.0 (70.0–90.0)" in wide
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 80


def test_flags_that_are_lost_over_turns_raise_an_alarm_once_both_modes_were_trained(run: Path) -> None:
    assert not [alarm for alarm in write_report(run).alarms if alarm.kind == "follow_turns"]
    folder = StageFolder(run / STAGE)
    replace(folder.manifest(), identity={"thinking_fraction": 0.5}).write(folder.manifest_path)
    (alarm,) = [alarm for alarm in write_report(run).alarms if alarm.kind == "follow_turns"]
    assert (alarm.stage, alarm.value, alarm.threshold) == ("mode_fusion", 0.8, 0.9)
    follow(0.95).write(run / STAGE / "evaluations" / "follow.json")
    assert not [alarm for alarm in write_report(run).alarms if alarm.kind == "follow_turns"]


def test_what_cannot_be_read_is_left_out_with_a_note(run: Path) -> None:
    damaged: dict[str, Any] = encode(constraints())
    damaged["tasks"].append({"task": "other", "demands": 3})
    put(run / STAGE / "evaluations" / "constraints.json", damaged)
    put(run / STAGE / "evaluations" / "follow.json", {"conversations": 3, "turns": 2, "obeyed": "all"})
    document = reported(run)
    assert [task["task"] for task in document["stages"][3]["constraints"]] == ["constraints"]
    assert document["stages"][3]["follow"] is None
    notes = " ".join(document["notes"])
    assert "constraints.json has 1 tasks that cannot be read" in notes
    assert "follow.json cannot be read and was left out (count is missing)" in notes


def test_hostile_text_is_inert(run: Path) -> None:
    constraints(HOSTILE, HOSTILE).write(run / STAGE / "evaluations" / "constraints.json")
    hostile = FollowGroup("other", HOSTILE, 60, around(0.8))
    follow(0.8, hostile).write(run / STAGE / "evaluations" / "follow.json")
    write_report(run)
    for name in ("report.html", "report.md"):
        assert not re.search(r"(?<!\\)<(script|img)", (run / name).read_text(encoding="utf-8"))
    assert "alert" in (run / "report.html").read_text(encoding="utf-8")
