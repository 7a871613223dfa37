"""What `alignment check` says of process scorers, and what the report shows of a measured process reward model."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.checks.recipe import checked
from alignment.core.resources import resource
from alignment.core.statistics.estimate import Estimate
from alignment.records.process import BestOfN, CalibrationPoint, ProcessRecord, ProcessSubset, ScoredTrace, StressTest
from alignment.report import write_report
from recipes.what_check_says import what_check_says


def issues(tmp_path: Path, **changes: Any) -> str:
    """What check says of tiny-prm with these changes in its last stage."""
    recipe = yaml.safe_load(resource("recipes/tiny-prm.yaml").read_text(encoding="utf-8"))
    recipe["stages"][-1] = {
        key: value for key, value in {**recipe["stages"][-1], **changes}.items() if value is not None
    }
    path = tmp_path / "changed.yaml"
    return what_check_says(path, recipe)


@pytest.mark.parametrize("name", ["tiny-prm", "tiny-code-prm", "tiny-prm-iterated", "qwen3-prm"])
def test_its_recipes_pass(name: str) -> None:
    assert checked(resource(f"recipes/{name}.yaml"), []).recipe.name == name


def test_labels_may_be_made_twice_of_the_same_problems_and_a_policy_not_trained_on_them(tmp_path: Path) -> None:
    labelled = [{"source": "chain-sum", "split": "fusion", "seed": 2}]
    assert "`fusion` of `chain-sum` is already used by labels" in issues(tmp_path, data=labelled)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"process": None}, "papo gives credit to steps, and nothing scores them; write `process: {stage: NAME}`"),
        ({"process": {"stage": "labels"}}, "found `labels`, which is no prm stage before this one; write one of: prm"),
        ({"algorithm": "dapo"}, "has no effect with dapo and weight 0"),
        ({"algorithm": "vine"}, "vine needs values of prefixes, and not a model's scores; write `completions: 9`"),
        ({"process": {"stage": "prm", "completions": 9}}, "write exactly one of them"),
        (
            {"process": {"policy": "prm"}},
            "found `prm`, which is no stage before this one that leaves a policy; write one of: cold_start",
        ),
        ({"process": {"policy": "cold_start", "engine": "vllm"}}, "computed by transformers; leave out `engine`"),
    ],
)
def test_a_scorer_that_cannot_work_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert said in issues(tmp_path, **changes)


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1)


def test_the_report_shows_what_was_measured(tmp_path: Path) -> None:
    for number, (name, kind) in enumerate((("labels", "step_labels"), ("prm", "prm")), 1):
        folder = tmp_path / f"{number:02d}-{name}"
        (folder / "evaluations").mkdir(parents=True)
        identity = {"stage": {"method": {"type": "binary_search"}}} if name == "labels" else {}
        begun = {"name": name, "kind": kind, "identity": identity}
        (folder / "stage.json").write_text(json.dumps(begun), encoding="utf-8")
    record = ProcessRecord(
        model="prm",
        subsets=(ProcessSubset("corrupted chain-sum", 60, 40, estimate(0.8), estimate(0.9), 0.847, 0.3),),
        f1=0.847,
        threshold=0.4,
        outcome_model="taste",
        calibration=(CalibrationPoint(40, 0.12, 0.25), CalibrationPoint(160, 0.93, 0.9)),
        stress=(StressTest("thanks", estimate(0.25), 0.01, 100),),
        best_of=tuple(
            BestOfN(n, 50.0 * n, *(estimate(one) for one in (0.5, 0.6, 0.7, 0.5, 0.55, 0.9, 0.65))) for n in (1, 8)
        ),
        traces=(ScoredTrace("5 + 9?", ("5 + 9 = 15", "<b>15</b>", "so 15"), (0.1, 0.9, 0.45), 0),),
    )
    record.write(tmp_path / "02-prm" / "evaluations" / "process.json")
    write_report(tmp_path)
    found = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["process"]
    assert (found["f1"], found["best_of_8"], found["best_of_8_low"], found["majority_of_8"]) == (0.847, 0.6, 0.5, 0.55)
    assert (found["pass_at_1"], found["stress"]) == (0.9, {"thanks": 0.25})
    assert (found["outcome_of_8"], found["outcome_of_8_low"]) == (0.65, 0.55)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Process reward model" in page and "5 + 9 = 15" in page and "&lt;b&gt;15&lt;/b&gt;" in page
    shades = re.findall(r"color-mix\(in srgb, var\(--(gain|loss)\) (\d+)%", page)
    assert [colour for colour, _ in shades] == ["loss", "gain", "gain"]  # 0.45 is above the threshold of 0.4
    assert int(shades[2][1]) < int(shades[1][1])
    assert 'aria-label="Calibration of prm"' in page and 'aria-label="Best of N by prm"' in page
    assert "minimum of 8: 60.0% (50.0–70.0)" in page
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| corrupted chain-sum |" in text and "| 8 | 400 | 50.0 | 60.0 | 70.0 | 65.0 | 55.0 |" in text
    assert "outcome reward by taste" in text
