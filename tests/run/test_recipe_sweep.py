"""`alignment budget` does not take the place of the sweep that a recipe asks for, unless it is told to."""

from pathlib import Path

import pytest

from alignment.commands.budget.options import SweepOptions
from alignment.core.errors import OptionError
from alignment.core.files import canonical_hash, folder_files
from alignment.core.statistics.estimate import Estimate
from alignment.records.manifest import Manifest
from alignment.records.sweep import RecordedPoint, Sweep, SweepFigures, SweepPoint
from alignment.run.budget_sweep import recipe_sweep
from alignment.run.plan import RunPlan

RECIPE = """\
name: swept
model: embedded
stages: [{name: one, kind: sft, data: tiny-cold-start}]
evaluations: {after_each_stage: [chain-sum], count: 8, max_completion_tokens: 64, budgets: [0, 16]}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run whose own sweep is measured, at one sample a problem."""
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    plan = RunPlan.load(path, [], tmp_path / "run")
    plan.prepare()
    folder = plan.folder("one")
    folder.output.mkdir(parents=True)
    (folder.output / "config.json").write_text("{}", encoding="utf-8")
    output, identity = folder_files(folder.output), plan.identity("one")
    Manifest(
        "one", "sft", identity, canonical_hash(identity), plan.inputs("one"), output, canonical_hash(output), 0, 1.0
    ).write(folder.manifest_path)
    sweep = recipe_sweep(plan)
    for point in sweep.points:
        found = SweepPoint(point.place, SweepFigures(8, Estimate(0.5)))
        RecordedPoint(point.key, found, point.identity).append(sweep.points_file)
    Sweep(tuple(sweep.measured())).write(sweep.output / "budget.json")
    return plan.run.path


def test_other_points_in_its_place_are_refused_with_what_to_write(run: Path) -> None:
    with pytest.raises(
        OptionError, match=r"holds the sweep that the recipe asks for \(3 points.*--output DIRECTORY.*--replace"
    ):
        SweepOptions(run, samples=4).plan()
    assert len(SweepOptions(run, samples=4, replace=True).plan().missing()) == 3
    assert len(SweepOptions(run, samples=4, output=run / "other").plan().missing()) == 3


def test_the_same_points_are_no_other_sweep(run: Path) -> None:
    assert SweepOptions(run, samples=1).plan().missing() == []


def test_what_replaced_it_may_go_on(run: Path) -> None:
    plan = SweepOptions(run, samples=4, replace=True).plan()
    Sweep(()).write(plan.output / "budget.json")
    assert len(SweepOptions(run, samples=4).plan().points) == 3
