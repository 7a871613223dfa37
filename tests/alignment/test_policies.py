"""Which policies a path and stage names mean, in a small run whose stages all leave the embedded model."""

import json
import shutil
from pathlib import Path

import pytest

from alignment.commands.budget.options import SweepOptions
from alignment.core.errors import ArtifactError
from alignment.core.files import canonical_hash, folder_files, write_json
from alignment.core.statistics.estimate import Estimate
from alignment.records.manifest import Manifest
from alignment.records.policies import named_policies
from alignment.records.sweep import RecordedPoint, SweepFigures, SweepPoint
from alignment.run.budget_sweep import recipe_sweep, sweep_is_missing
from alignment.run.plan import RunPlan

BASE = Path(__file__).parents[2] / "data" / "base"
STAGES = (("cold_start", "sft"), ("reasoning_rl", "grpo"), ("fusion_data", "sample"))
RECIPE = """
name: small
model: embedded
hardware: {accelerate: cpu}
stages:
  - {name: cold_start, kind: sft, data: tiny-cold-start}
evaluations: {after_each_stage: [chain-sum], budgets: [64, 0], count: 12, max_completion_tokens: 192}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_json(tmp_path / "run.json", {"recipe": "small"})
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    for number, (name, kind) in enumerate(STAGES, 1):
        folder = tmp_path / f"{number:02d}-{name}"
        shutil.copytree(BASE, folder / "output")
        files = folder_files(folder / "output")
        hashed = canonical_hash({**files, "stage": name})
        Manifest(name, kind, {}, "", {}, files, hashed, 0, 1.0).write(folder / "manifest.json")
    return tmp_path


def test_the_last_trained_stage_is_meant_where_none_is_named(run: Path) -> None:
    assert [policy.name for policy in named_policies(run)] == ["reasoning_rl"]
    assert named_policies(run)[0].folder == run / "02-reasoning_rl" / "output"


def test_all_means_every_trained_stage_in_order(run: Path) -> None:
    assert [policy.name for policy in named_policies(run, ["all"])] == ["cold_start", "reasoning_rl"]
    assert [policy.name for policy in named_policies(run, ["reasoning_rl", "cold_start", "reasoning_rl"])] == [
        "reasoning_rl",
        "cold_start",
    ]


def test_a_stage_that_makes_rows_and_one_that_is_not_there_are_refused(run: Path) -> None:
    with pytest.raises(ArtifactError, match="leaves no policy; write one of: cold_start, reasoning_rl"):
        named_policies(run, ["fusion_data"])
    with pytest.raises(ArtifactError, match="has no stage `general_rl`"):
        named_policies(run, ["general_rl"])


def test_a_run_without_a_finished_stage_says_so(run: Path) -> None:
    for folder in run.glob("0*"):
        shutil.rmtree(folder)
    with pytest.raises(ArtifactError, match="no trained stage yet"):
        named_policies(run)


def test_a_policy_of_a_run_is_known_by_its_manifest_and_a_folder_by_its_files(run: Path) -> None:
    recorded = json.loads((run / "02-reasoning_rl" / "manifest.json").read_text(encoding="utf-8"))["output_hash"]
    assert named_policies(run)[0].output_hash() == recorded
    assert named_policies(BASE)[0].output_hash() == named_policies(run / "01-cold_start" / "output")[0].output_hash()


def test_a_sweep_of_a_run_takes_what_is_left_out_from_its_recipe(run: Path) -> None:
    options = SweepOptions(run, ("all",), samples=2)
    plan = options.plan()
    places = [(one.place.stage, one.place.task, one.place.budget) for one in plan.points]
    assert places == [(stage, "chain-sum", at) for stage in ("cold_start", "reasoning_rl") for at in (0, 64, None)]
    assert (plan.settings.count, plan.settings.max_completion_tokens, plan.offline) == (12, 192, True)
    assert plan.output == run / "budget" and options.belongs_to_run
    elsewhere = SweepOptions(run, output=run / "other", changes=(("max_completion_tokens", 80),))
    assert elsewhere.plan().settings.max_completion_tokens == 80 and not elsewhere.belongs_to_run


def test_the_sweep_that_ends_a_recipe_is_that_of_the_command_at_one_sample(run: Path) -> None:
    run_plan = RunPlan.load(run / "recipe.yaml", [], run)
    assert sweep_is_missing(run_plan)
    own, command = recipe_sweep(run_plan), SweepOptions(run, ("cold_start",), samples=1).plan()
    assert [point.key for point in own.points] == [point.key for point in command.points]
    assert (own.output, own.policies) == (command.output, command.policies)
    assert [one.place.budget for one in own.points] == [0, 64, None]


def test_the_sweep_that_ends_a_recipe_resumes_point_by_point(run: Path) -> None:
    plan = recipe_sweep(RunPlan.load(run / "recipe.yaml", [], run))
    for point in plan.points[:2]:
        found = SweepPoint(point.place, SweepFigures(12, Estimate(0.5)))
        RecordedPoint(point.key, found, point.identity).append(plan.points_file)
    resumed = recipe_sweep(RunPlan.load(run / "recipe.yaml", [], run))
    assert [point.place.budget for point in resumed.missing()] == [None]
    more = recipe_sweep(RunPlan.load(run / "recipe.yaml", ["evaluations.budgets=[0, 64, 128]"], run))
    assert [point.place.budget for point in more.missing()] == [128, None], "budgets that were added are measured alone"
