"""What `alignment budget` refuses before anything starts, and what it reuses; no engine is needed for either."""

import json
from pathlib import Path
from typing import Any

import pytest

from alignment.commands.budget.options import SweepOptions
from alignment.core.errors import ArtifactError, DataError, OptionError
from alignment.core.statistics.estimate import Estimate
from alignment.evaluation.sweep.plan import Point, SweepPlan, recorded_points
from alignment.records.sweep import RecordedPoint, SweepFigures, SweepPoint

BASE = Path(__file__).parents[2] / "data" / "base"


def options(**changes: Any) -> SweepOptions:
    return SweepOptions(**{"path": BASE, "tasks": "chain-sum", "budgets": "16,0", "samples": 2, **changes})


def record(plan: SweepPlan, point: Point, accuracy: float) -> None:
    """What measuring a point leaves in points.jsonl."""
    found = SweepPoint(point.place, SweepFigures(8, Estimate(accuracy)))
    RecordedPoint(point.key, found, point.identity).append(plan.points_file)


def test_a_model_folder_gives_a_point_for_each_budget_and_one_without_thinking() -> None:
    points = options().plan().points
    assert [(one.place.stage, one.place.task, one.place.mode, one.place.budget) for one in points] == [
        ("base", "chain-sum", "thinking", 0),
        ("base", "chain-sum", "thinking", 16),
        ("base", "chain-sum", "non_thinking", None),
    ]
    assert [point.place.budget for point in options(modes="thinking").plan().points] == [0, 16]
    assert [point.place.budget for point in options(modes="non_thinking", budgets="").plan().points] == [None]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"tasks": ""}, OptionError, "write --tasks"),
        ({"tasks": "no-such"}, DataError, "no source `no-such`"),
        ({"tasks": "gsm8k-train"}, DataError, "use: evaluation"),
        ({"budgets": ""}, OptionError, "write --budgets, such as 0,64"),
        ({"budgets": "0,many"}, OptionError, "'many' is not a number of tokens"),
        ({"budgets": "-5"}, OptionError, "'-5' is not a number of tokens"),
        ({"budgets": "4096"}, OptionError, "--max-completion-tokens 4608"),
        ({"samples": 0}, OptionError, "samples: Input should be greater than or equal to 1"),
        ({"stages": ("general_rl",)}, ArtifactError, "leave out --stage"),
        ({"path": BASE.parent}, ArtifactError, "is not a run directory"),
    ],
)
def test_an_option_that_cannot_work_is_refused_with_what_to_write(
    changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        options(**changes).plan()


def test_what_is_recorded_is_not_measured_again(tmp_path: Path) -> None:
    plan = options(output=tmp_path).plan()
    record(plan, plan.points[1], 0.5)
    assert [point.place.budget for point in plan.missing()] == [0, None]
    assert [(one.place.budget, one.figures.accuracy.value) for one in plan.measured()] == [(16, 0.5)]
    wider = options(output=tmp_path, budgets="0,16,64").plan()
    assert [point.place.budget for point in wider.missing()] == [0, 64, None]
    assert wider.changes() == []


def test_changed_settings_are_named_and_their_points_kept_apart(tmp_path: Path) -> None:
    first = options(output=tmp_path).plan()
    for point in first.points:
        record(first, point, 0.5)
    other = options(output=tmp_path, samples=4, changes=(("count", 8), ("seed", None))).plan()
    assert other.measured() == [] and len(other.missing()) == 3
    assert other.changes() == ["samples: 2 → 4", "task.count: 256 → 8"]
    record(other, other.points[0], 0.75)
    assert [one.figures.accuracy.value for one in other.measured()] == [0.75]
    assert [one.figures.accuracy.value for one in first.measured()] == [0.5] * 3, "nothing is lost by it"


def test_a_stop_text_decides_nothing_where_nothing_is_stopped(tmp_path: Path) -> None:
    first = options(output=tmp_path).plan()
    other = options(output=tmp_path, changes=(("stop_text", "\n</think>\n\n"),)).plan()
    same = [one.key == changed.key for one, changed in zip(first.points, other.points, strict=True)]
    assert same == [False, False, True]


def test_a_line_that_a_kill_cut_short_costs_its_own_point_alone(tmp_path: Path) -> None:
    plan = options(output=tmp_path).plan()
    record(plan, plan.points[0], 0.5)
    with plan.points_file.open("a", encoding="utf-8") as file:
        file.write('{"stage": "base", "acc')
    record(plan, plan.points[1], 0.25)
    assert [one.point.figures.accuracy.value for one in recorded_points(plan.points_file)] == [0.5, 0.25]
    assert json.loads(plan.points_file.read_text(encoding="utf-8").splitlines()[-1])["budget"] == 16


def test_the_policy_is_known_by_its_files_and_not_by_its_name(tmp_path: Path) -> None:
    copy = tmp_path / "renamed"
    copy.mkdir()
    for path in BASE.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert options(path=copy).plan().points[0].key == options().plan().points[0].key
    (copy / "generation_config.json").write_text("{}", encoding="utf-8")
    assert options(path=copy).plan().points[0].key != options().plan().points[0].key
