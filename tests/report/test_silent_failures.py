"""What a stage can do wrong without failing is an alarm of the report, and is printed when the run ends."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alignment.commands.report import write_and_print
from alignment.core.files import FileFacts
from alignment.records.manifest import Manifest
from alignment.records.metrics import MetricsRow
from alignment.records.run import RunRecord
from alignment.records.run_folder import StageFolder
from alignment.report import write_report


def run_with(folder: Path, figures: list[dict[str, float | None]], **manifest: Any) -> Path:
    """A run of one finished grpo stage with these lines in its metrics."""
    stage = StageFolder(folder / "01-rl")
    stage.path.mkdir(parents=True)
    RunRecord("tiny", 0).write(folder / "run.json")
    for step, one in enumerate(figures, 1):
        MetricsRow(step, len(figures), figures=one).append(stage.metrics)
    known = {"inputs": {"model": "0" * 64}, **manifest}
    Manifest(
        "rl", "grpo", {}, "h", output={"a": FileFacts(1, "s")}, output_hash="o", seed=0, seconds=1.0, **known
    ).write(stage.manifest_path)
    return folder


def alarms(run: Path) -> dict[str, tuple[str, str]]:
    return {alarm.kind: (alarm.level, alarm.message) for alarm in write_report(run).alarms}


def test_a_stage_without_one_gradient_is_not_finished_in_silence(tmp_path: Path) -> None:
    found = alarms(run_with(tmp_path / "none", [{"loss": 0.0, "gradient_norm": 0.0}] * 3))
    assert found["no_gradient"][0] == "warning"
    assert "Not one of its 3 steps had a gradient" in found["no_gradient"][1]
    assert "no_gradient" not in alarms(run_with(tmp_path / "one", [{"gradient_norm": 0.0}, {"gradient_norm": 0.1}]))


def test_steps_that_computed_no_number_are_counted(tmp_path: Path) -> None:
    steps: list[dict[str, float | None]] = [{"loss": 1.0, "gradient_norm": 1.0}, {"loss": None, "not_finite": 2.0}]
    found = alarms(run_with(tmp_path / "run", steps))
    assert found["not_finite"] == ("warning", "Loss or gradient was NaN or infinite at 1 steps, first at step 2.")


@pytest.mark.parametrize(
    ("long", "level"), [(45, "warning"), (1, "notice"), (0, None)], ids=["most", "a few", "not one"]
)
def test_rows_that_are_too_long_are_an_alarm(tmp_path: Path, long: int, level: str | None) -> None:
    found = alarms(run_with(tmp_path / "run", [], counts={"problems": 50 - long, "left_out_too_long": long}))
    expected = {"left_out_too_long": (level, f"{long} of 50 rows were too long and were left out.")} if level else {}
    assert found == expected


def test_a_hub_model_that_may_move_is_a_notice(tmp_path: Path) -> None:
    found = alarms(run_with(tmp_path / "moving", [], inputs={"model": "hub:some/model"}))
    assert found["model_not_pinned"][0] == "notice"
    pinned = {"model": f"hub:some/model@{'a' * 40}"}
    assert alarms(run_with(tmp_path / "pinned", [], inputs=pinned)) == {}


def test_alarms_are_printed_when_a_run_ends(tmp_path: Path) -> None:
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w", encoding="utf-8"))
    write_and_print(run_with(tmp_path / "run", [{"gradient_norm": 0.0}]), console)
    assert "warning: rl: Not one of its 1 steps had a gradient" in console.export_text()
