"""`base_model: true`: the model that a run starts from is measured too, so that a run of one stage shows what it gained."""

import json
from pathlib import Path

import pytest

from smoke.processes import alignment
from smoke.small_recipe import cold_start, write_recipe

EVALUATIONS = {"base_model": True, "after_each_stage": ["chain-sum"], "count": 6, "follow_count": 1, "max_prompt_tokens": 160,
               "max_completion_tokens": 24, "engine": "transformers"}  # fmt: skip
STAGE = cold_start(trainer={"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 1.0e-3})


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_recipe(tmp_path_factory.mktemp("before") / "small.yaml", STAGE, evaluations=EVALUATIONS)
    done = alignment("run", path, "--run", path.parent / "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.index("evaluating base model") < done.stdout.index("cold_start (sft)")
    assert "base model" in done.stdout[done.stdout.index("evaluating cold_start") :], "in the table at the end"
    return path


def test_the_first_stage_is_compared_with_it(recipe: Path) -> None:
    report = json.loads((recipe.parent / "run/report.json").read_text(encoding="utf-8"))
    before, stage = report["stages"]
    assert (before["name"], before["outcome"], before["steps"]) == ("base model", "finished", None)
    for mode in ("thinking", "non_thinking"):
        assert before["evaluations"][mode]["count"] == 6
        assert stage["changes"][mode]["since"] == "base model"
    assert not any("base model" in note for note in report["notes"])
    assert "base model" in (recipe.parent / "run/report.html").read_text(encoding="utf-8")


def test_it_is_measured_once_and_again_under_other_settings(recipe: Path) -> None:
    again = alignment("run", recipe, "--run", recipe.parent / "run")
    assert again.returncode == 0 and "evaluating" not in again.stdout
    fewer = alignment("run", recipe, "--run", recipe.parent / "run", "--set", "evaluations.count=4")
    assert fewer.returncode == 0, fewer.stdout + fewer.stderr
    assert "evaluating base model" in fewer.stdout and "measured under other settings" in fewer.stdout
    kept = sorted(path.name for path in (recipe.parent / "run/before/evaluations").glob("thinking*.json"))
    assert len(kept) == 2, "the earlier figures are set aside"
