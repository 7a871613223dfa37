"""A policy that pleases its process scorer, or whose steps drift, is named with figures; one that learns says nothing."""

import random
from pathlib import Path

import pytest

from alignment.core.files import FileFacts
from alignment.records.manifest import Manifest
from alignment.records.metrics import MetricsRow
from alignment.records.run import RunRecord
from alignment.records.run_folder import StageFolder
from alignment.report import write_report
from alignment.report.document import Alarm

STEPS = 40
Course = tuple[float, float, float]  # first value, last value, deviation of a step
# papo on tiny-prm, as it goes where nothing is wrong: both rise together, and answers keep their length.
HEALTHY: dict[str, Course] = {
    "process_score": (0.62, 0.81, 0.03), "right_fraction": (0.78, 0.9, 0.03), "steps_per_answer": (4.1, 4.3, 0.2),
    "tokens_per_step": (9.0, 9.4, 0.5),
}  # fmt: skip
PLEASED = {**HEALTHY, "right_fraction": (0.78, 0.4, 0.03)}


def process_alarms(folder: Path, courses: dict[str, Course], steps: int = STEPS) -> list[Alarm]:
    """The process alarms of a run of one grpo stage whose metrics go straight from first to last, with noise."""
    draw, stage = random.Random(0), StageFolder(folder / "01-rl")
    stage.path.mkdir(parents=True)
    RunRecord("tiny", 0).write(folder / "run.json")
    for step in range(steps):
        part = step / max(1, steps - 1)
        figures: dict[str, float | None] = {
            name: first + part * (last - first) + draw.gauss(0, noise) for name, (first, last, noise) in courses.items()
        }
        MetricsRow(step + 1, steps, figures=figures).append(stage.metrics)
    settings = {"process": {"stage": "prm"}, "algorithm": "papo"}
    Manifest(
        "rl", "grpo", {"stage": settings}, "h", output={"a": FileFacts(1, "s")}, output_hash="o", seed=0, seconds=1.0,
        inputs={"model": "0" * 64},
    ).write(stage.manifest_path)  # fmt: skip
    return [one for one in write_report(folder).alarms if one.kind in ("process_up_accuracy_down", "step_drift")]


def test_a_process_score_that_rises_while_fewer_answers_are_right_is_named_with_figures(tmp_path: Path) -> None:
    (found,) = process_alarms(tmp_path, PLEASED)
    assert (found.stage, found.kind, found.level) == ("rl", "process_up_accuracy_down", "warning")
    assert found.value is not None and -0.4 < found.value < -0.2
    for part in ("The process score rose from 0.6", "the fraction of right answers fell from 0.7", "to 0.4"):
        assert part in found.message
    assert found.message in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("drift", "said"),
    [
        ({"steps_per_answer": (4.0, 16.0, 0.3)}, "The steps per answer went from 5."),
        ({"steps_per_answer": (12.0, 2.0, 0.3)}, "The steps per answer went from 1"),
        ({"tokens_per_step": (8.0, 40.0, 1.0)}, "The tokens per step went from "),
    ],
    ids=["more steps", "fewer steps", "longer steps"],
)
def test_steps_that_double_or_halve_are_named_with_figures(drift: dict[str, Course], said: str, tmp_path: Path) -> None:
    (found,) = process_alarms(tmp_path, {**HEALTHY, **drift})
    assert (found.kind, found.level) == ("step_drift", "warning")
    assert found.message.startswith(said)


@pytest.mark.parametrize(
    "courses",
    [
        HEALTHY,
        {**HEALTHY, "process_score": (0.62, 0.4, 0.03), "right_fraction": (0.78, 0.5, 0.03)},
        {**HEALTHY, "process_score": (0.62, 0.64, 0.01), "right_fraction": (0.78, 0.5, 0.03)},
        {**HEALTHY, "right_fraction": (0.78, 0.76, 0.01)},
        {**HEALTHY, "process_score": (0.6, 0.6, 0.1), "right_fraction": (0.8, 0.8, 0.1)},
        {**HEALTHY, "steps_per_answer": (4.0, 6.0, 0.3), "tokens_per_step": (9.0, 6.0, 0.3)},
        {"reward": (0.2, 0.9, 0.05)},
    ],
    ids=["both rise", "both fall", "the score stands", "right answers stand", "noise", "steps move a little", "no process"],
)  # fmt: skip
def test_healthy_runs_ring_nothing(courses: dict[str, Course], tmp_path: Path) -> None:
    assert process_alarms(tmp_path, courses) == []


def test_three_steps_are_too_few_to_say_anything(tmp_path: Path) -> None:
    assert process_alarms(tmp_path, {**PLEASED, "steps_per_answer": (4.0, 40.0, 0.1)}, steps=3) == []
