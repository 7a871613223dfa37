"""The report's sections on flags over several turns and on where thinking helps: exact, whole, and inert where hostile."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_run import HOSTILE, put, write_run
from rich.console import Console

from alignment.report import write_report
from alignment.report.render.terminal import following_tables

STAGE = "04-mode_fusion"


def shares(name: str, share: float) -> dict[str, float]:
    return {name: share, f"{name}_low": share - 0.1, f"{name}_high": share + 0.1}


def follow(obeyed: float) -> dict[str, Any]:
    values = {"position": ("1", "2"), "switch": ("changed", "same"), "mode": ("non_thinking", "thinking")}
    groups = [
        {"by": by, "value": value, "count": 60} | shares("obeyed", obeyed) for by in values for value in values[by]
    ]
    counts = {"conversations": 60, "turns": 2, "count": 118, "trimmed": 7, "left_out": 2, "seconds": 12.5}
    whole = {"asked_thinking_fraction": 0.6, "whole_fraction": 0.7, "samples": []}
    return counts | shares("obeyed", obeyed) | whole | {"groups": groups}


def demand(name: str, reading: str, gap: float, verdict: str) -> dict[str, Any]:
    facts = {"demand": name, "reading": reading, "constraints": 40, "problems": 40, "verdict": verdict}
    return facts | shares("thinking", 0.5 + gap) | shares("non_thinking", 0.5) | shares("difference", gap)


def constraints(task: str = "constraints", caution: str = "thinking was cut off") -> dict[str, Any]:
    mode = {"answers": 80, "thinking_answer_fraction": 0.9, "no_answer_fraction": 0.0, "mean_answer_tokens": 31.5}
    demands = [demand("planning", "strict", 0.2, "helps"), demand("precision", "strict", -0.3, "hurts")]
    one = {
        "type": "punctuation:no_comma",
        "demand": "precision",
        "constraints": 40,
        "thinking": 0.2,
        "non_thinking": 0.5,
    }
    facts = {"task": task, "problems": 80, "unknown": 0, "modes": {"thinking": mode, "non_thinking": mode}}
    return {"seed": 1, "tasks": [facts | {"demands": demands, "types": [one], "cautions": [caution]}]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = write_run(tmp_path / "tiny")
    put(run / STAGE / "evaluations" / "follow.json", follow(0.8))
    put(run / STAGE / "evaluations" / "constraints.json", constraints())
    return run


def printed(document: dict[str, Any], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(*following_tables(document, width), sep="\n")
    return console.export_text()


def test_a_run_without_them_has_no_such_sections(tmp_path: Path) -> None:
    run = write_run(tmp_path / "tiny")
    document = write_report(run)
    assert [(stage["follow"], stage["constraints"]) for stage in document["stages"]] == [(None, [])] * 4
    for name in ("report.html", "report.md"):
        text = (run / name).read_text(encoding="utf-8")
        assert "several turns" not in text and "Where thinking helps" not in text
    assert list(following_tables(document)) == []


def test_the_schema_in_the_documentation_accepts_both(run: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    schema = json.loads(page.split("```json\n")[1].split("```")[0])
    document = write_report(run)
    jsonschema.validate(document, schema)
    assert json.loads((run / "report.json").read_text(encoding="utf-8")) == document
    document["stages"][3]["constraints"][0]["demands"][0]["verdict"] = "surely helps"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_every_form_says_the_same_and_a_loss_as_plainly_as_a_gain(run: Path) -> None:
    document = write_report(run)
    stage = document["stages"][3]
    assert stage["follow"]["groups"][0] == {"by": "position", "value": "1", "count": 60} | shares("obeyed", 0.8)
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
    put(run / "02-reasoning_rl" / "evaluations" / "follow.json", follow(0.3))
    document = write_report(run)
    narrow, wide = printed(document, 80), printed(document, 120)
    assert "reasoning_rl" not in narrow and "80.0 (70.0–90.0)" in narrow
    assert "30.0 (20.0–40.0)" in wide and "80.0 (70.0–90.0)" in wide
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 80


def test_flags_that_are_lost_over_turns_raise_an_alarm_once_both_modes_were_trained(run: Path) -> None:
    assert not [alarm for alarm in write_report(run)["alarms"] if alarm["kind"] == "follow_turns"]
    put(run / STAGE / "stage.json", {"name": "mode_fusion", "kind": "sft", "identity": {"thinking_fraction": 0.5}})
    (alarm,) = [alarm for alarm in write_report(run)["alarms"] if alarm["kind"] == "follow_turns"]
    assert (alarm["stage"], alarm["value"], alarm["threshold"]) == ("mode_fusion", 0.8, 0.9)
    put(run / STAGE / "evaluations" / "follow.json", follow(0.95))
    assert not [alarm for alarm in write_report(run)["alarms"] if alarm["kind"] == "follow_turns"]


def test_what_cannot_be_read_is_left_out_with_a_note(run: Path) -> None:
    damaged = constraints()
    damaged["tasks"].append({"task": "other", "demands": [{"verdict": "maybe"}, 3]})
    put(run / STAGE / "evaluations" / "constraints.json", damaged)
    put(run / STAGE / "evaluations" / "follow.json", {"conversations": 3, "turns": 2, "obeyed": "all"})
    document = write_report(run)
    assert [task["task"] for task in document["stages"][3]["constraints"]] == ["constraints"]
    assert document["stages"][3]["follow"] is None
    notes = " ".join(document["notes"])
    assert "constraints.json has 1 tasks that cannot be read" in notes and "follow.json holds no share" in notes


def test_hostile_text_is_inert(run: Path) -> None:
    put(run / STAGE / "evaluations" / "constraints.json", constraints(HOSTILE, HOSTILE))
    hostile = follow(0.8)
    hostile["groups"][0] |= {"by": "other", "value": HOSTILE}
    put(run / STAGE / "evaluations" / "follow.json", hostile)
    write_report(run)
    for name in ("report.html", "report.md"):
        assert not re.search(r"(?<!\\)<(script|img)", (run / name).read_text(encoding="utf-8"))
    assert "alert" in (run / "report.html").read_text(encoding="utf-8")
