"""The report says of a student that it shrinks or comes no closer to its teacher, and not that it has become as sure as it is meant to."""

import random
from pathlib import Path

from alignment.core.files import FileFacts
from alignment.records.manifest import Manifest
from alignment.records.metrics import MetricsRow
from alignment.records.run import RunRecord
from alignment.records.run_folder import StageFolder
from alignment.report import write_report

STEPS = 24


def alarms(folder: Path, **courses: tuple[float, float]) -> dict[str, str]:
    """The alarms of a run of one distill stage whose metrics go straight from first to last, with a little noise."""
    draw, stage = random.Random(0), StageFolder(folder / "01-learn")
    stage.path.mkdir(parents=True)
    RunRecord("tiny", 0).write(folder / "run.json")
    healthy = {"reverse_kl": (0.3, 0.02), "completion_tokens": (60.0, 56.0), "entropy": (0.5, 0.01), "teacher_entropy": (0.02, 0.02),
               "gradient_norm": (1.0, 1.0)}  # fmt: skip
    for step in range(STEPS):
        part = step / (STEPS - 1)
        figures: dict[str, float | None] = {
            name: (first + part * (last - first)) * (1 + draw.gauss(0, 0.02))
            for name, (first, last) in {**healthy, **courses}.items()
        }
        MetricsRow(step + 1, STEPS, figures=figures).append(stage.metrics)
    Manifest(
        "learn", "distill", {"stage": {}}, "h", output={"a": FileFacts(1, "s")}, output_hash="o", seed=0, seconds=1.0,
        inputs={"model": "0" * 64},
    ).write(stage.manifest_path)  # fmt: skip
    return {one.kind: one.message for one in write_report(folder).alarms}


def test_a_student_that_becomes_as_sure_as_its_teacher_has_not_collapsed(tmp_path: Path) -> None:
    assert alarms(tmp_path) == {}


def test_a_student_whose_answers_shrink_is_noticed_unless_they_get_better(tmp_path: Path) -> None:
    found = alarms(tmp_path / "shrinks", completion_tokens=(60, 8))
    assert "fell from" in found["student_length_collapse"] and "end early" in found["student_length_collapse"]
    assert alarms(tmp_path / "better", completion_tokens=(60, 8), reward=(0.4, 0.9)) == {}


def test_a_student_that_comes_no_closer_is_noticed(tmp_path: Path) -> None:
    assert "came no closer" in alarms(tmp_path, reverse_kl=(0.2, 0.3))["teacher_not_approached"]
