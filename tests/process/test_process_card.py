"""`alignment export --stage PRM`: the model as it is, and a card with what was measured of it, or that nothing was."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import OptionError
from alignment.core.statistics.estimate import Estimate
from alignment.data.rows import user_turn, write_rows
from alignment.inference.process_model import ProcessModel, Solution
from alignment.records.process import CalibrationPoint, ProcessRecord, ProcessSubset, StressTest
from alignment.run.plan import RunPlan
from alignment.run.stage import main
from process.test_process_models import prm_stage, solutions

SOLUTION = Solution([user_turn("1 + 1?")], ["1 + 1 = 2", "2"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one prm stage, really trained."""
    folder = tmp_path_factory.mktemp("card")
    write_rows(folder / "rows.jsonl", solutions(48))
    recipe = {"name": "small", "model": "embedded", "seed": 3, "stages": [prm_stage(folder / "rows.jsonl")]}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    plan = RunPlan.load(folder / "recipe.yaml", [], folder / "run")
    plan.prepare()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}.items():
            patch.setenv(name, value)
        main(plan.path, "prm", plan.run.path, [])
    return plan.run.path


def export(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["export", *map(str, arguments)])
    if isinstance(done.exception, OptionError):
        return str(done.exception)
    assert done.exception is None, done.exception
    return " ".join(done.output.split())


def test_a_model_that_nobody_measured_says_so_and_one_that_was_measured_says_how_it_did(
    run: Path, tmp_path: Path
) -> None:
    said = export(run, "--stage", "prm", "--into", tmp_path / "made", "--licence", "apache-2.0")
    assert "byte for byte" in said
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: token-classification" in card and 'license: "apache-2.0"' in card
    assert "Trained on 48 solutions" in card and "Nobody has measured this model" in card
    assert "token \\<extra\\_0\\> after the step" in card and str(tmp_path) not in card and "## Data" in card
    ours, theirs = (ProcessModel(str(one)).scores([SOLUTION]) for one in (run / "01-prm/output", tmp_path / "made"))
    assert ours == theirs

    half = Estimate(0.5, 0.4, 0.6)
    subset = ProcessSubset("corrupted chain-sum", 60, 40, half, Estimate(0.75, 0.6, 0.86), 0.6, 0.22)
    ProcessRecord(
        "prm", (subset,), 0.6, threshold=0.37, threshold_from="other rows", calibration_error=0.041,
        calibration=(CalibrationPoint(10, 0.15, 0.2), CalibrationPoint(90, 0.93, 0.9)),
        stress=(StressTest("thanks", Estimate(0.25, 0.2, 0.3), 0.01, 100),),
    ).write(run / "01-prm" / "evaluations" / "process.json")  # fmt: skip
    export(run, "--stage", "prm", "--into", tmp_path / "made")  # writes the card again, and nothing else
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert "Nobody has measured" not in card
    for part in (
        "threshold 0.370 from other rows", "calibration error 0.041", "| corrupted chain-sum | 60 | 50.0 | 40 | 75.0 | 60.0 | 22.0 |",
        "| thanks | 25.0 | 20.0–30.0 | 100 |", "| 0.93 | 90 | 90.0 |", "Licence: not stated here",
    ):  # fmt: skip
        assert part in card


def test_other_forms_are_of_policies_alone(run: Path, tmp_path: Path) -> None:
    said = export(run, "--stage", "prm", "--gguf", "q8_0", "--into", tmp_path / "made")
    assert "--gguf makes another form of a policy, and stage prm leaves a process reward model" in said
    assert not (tmp_path / "made").exists()
