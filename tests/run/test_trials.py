"""`alignment rows` and `alignment mixture`: what is measured is kept, what changes is measured again, and the report says what came out."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from alignment.cli import app
from alignment.core.errors import OptionError
from alignment.core.statistics.estimate import Estimate
from alignment.core.statistics.intervals import wilson
from alignment.records.trials import TRIAL, MixtureSearch, RowCurve, RowPoint, Trial
from alignment.run.plan import RunPlan
from alignment.run.trials.mixture_search import FURTHER_SEED, SearchSettings, search_mixture
from alignment.run.trials.row_curve import fewest, measure_rows, sizes_of
from alignment.run.trials.trial import PlannedTrial, Trials

COUNT = 400


def written(folder: Path, **stage: Any) -> Path:
    """A recipe with one stage on 128 rows of two kinds of sums."""
    parts = [
        {"source": "chain-sum", "split": "cold_start", "count": 96, "seed": 1, "parameters": {"max_terms": 3}},
        {"source": "chain-sum", "split": "cold_start", "count": 32, "seed": 2, "parameters": {"min_terms": 4}},
    ]
    trained = {"name": "cold_start", "kind": "sft", "data": parts, "max_length": 256, "packing": False, **stage}
    evaluations = {
        "after_each_stage": ["chain-sum"], "count": 16, "follow_count": 1, "max_prompt_tokens": 128,
        "max_completion_tokens": 32, "engine": "transformers",
    }  # fmt: skip
    recipe = {"name": "small", "model": "embedded", "seed": 5, "stages": [trained], "evaluations": evaluations}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return folder / "recipe.yaml"


def trials_of(folder: Path, **stage: Any) -> Trials:
    plan = RunPlan.load(written(folder, **stage), [], folder / "run")
    return Trials(plan, "cold_start", "thinking", Console(quiet=True))


def recorded(trials: Trials, planned: PlannedTrial, accuracy: float) -> None:
    """A trial as if it had been measured before: with its record, nothing is trained."""
    counts = dict(zip(trials.groups, planned.counts, strict=True))
    estimate = Estimate(accuracy, *wilson(accuracy * COUNT, COUNT))
    made = Trial(planned.key, counts, "thinking", estimate, COUNT, 0, 10, 1000, 1.0, planned.identity)
    (trials.folder / planned.key).mkdir(parents=True, exist_ok=True)
    made.write(trials.folder / planned.key / TRIAL)


ACCURACY = {8: 0.2, 16: 0.55, 32: 0.78, 64: 0.8, 128: 0.79}
COUNTS = {8: (6, 2), 16: (12, 4), 32: (24, 8), 64: (48, 16), 128: (96, 32)}


@pytest.fixture
def measured(tmp_path: Path) -> Trials:
    """A run whose curve was measured, but for its record."""
    trials = trials_of(tmp_path)
    for size, counts in COUNTS.items():
        recorded(trials, trials.planned(counts), ACCURACY[size])
    return trials


def test_a_curve_of_measured_trials_trains_nothing_and_names_the_fewest_rows(measured: Trials) -> None:
    curve = measure_rows(measured, [], 1)
    assert [one.rows for one in curve.points] == [8, 16, 32, 64, 128]
    assert curve.chosen == 32, "the first within the interval of the best, 64"
    assert curve.points[2].counts == {"chain-sum max_terms 3": 24, "chain-sum min_terms 4": 8}
    assert RowCurve.read(measured.folder / "rows-cold_start.json") == curve


def test_a_lucky_training_on_few_rows_is_not_enough_and_a_curve_that_still_rises_names_none() -> None:
    def point(rows: int, accuracy: float) -> RowPoint:
        estimate = Estimate(accuracy, *wilson(accuracy * COUNT, COUNT))
        return RowPoint(rows, {"sums": rows}, estimate, COUNT, (accuracy,), 10, 100)

    assert fewest([point(10, 0.79), point(20, 0.5), point(40, 0.78), point(80, 0.8)]) == 40
    assert fewest([point(10, 0.2), point(20, 0.5), point(40, 0.8)]) is None
    assert fewest([point(10, 0.79), point(20, 0.8)]) == 10


def test_the_command_puts_the_curve_into_the_report(measured: Trials) -> None:
    path, run = str(measured.plan.path), str(measured.plan.run.path)
    said = CliRunner().invoke(app, ["rows", path, "--run", run, "--sizes", "16,32,128"])
    assert said.exit_code == 0, said.output
    assert "32 rows are within the interval" in said.output and "chain-sum min_terms 4: 8" in said.output
    page, text = ((measured.plan.run.path / f"report.{form}").read_text(encoding="utf-8") for form in ("html", "md"))
    assert "| 32 (fewest) | 78.0 |" in text
    assert "As few rows as will do" in page and page.count('class="ring line-0"') == 1
    report = json.loads((measured.plan.run.path / "report.json").read_text(encoding="utf-8"))
    assert report["row_curves"][0]["chosen"] == 32 and report["mixtures"] == []


def test_what_decides_a_trial_makes_another_one(measured: Trials, tmp_path: Path) -> None:
    key = measured.planned((24, 8)).key
    assert measured.planned((24, 8)).key == key
    assert (
        len(
            {
                key,
                measured.planned((24, 9)).key,
                measured.planned((24, 8), 6).key,
                measured.planned((24, 8), None, 9).key,
            }
        )
        == 4
    )
    other = tmp_path / "other"
    other.mkdir()
    assert trials_of(other).planned((24, 8)).key == key, "another place is not another trial"
    assert trials_of(other, max_length=128).planned((24, 8)).key != key
    assert trials_of(other, trainer={"learning_rate": 1.0e-4}).planned((24, 8)).key != key


def test_sizes_that_cannot_be_tried_are_refused() -> None:
    assert sizes_of(1000, []) == [31, 62, 125, 250, 500, 1000]
    assert sizes_of(1000, [500, 100]) == [100, 500]
    with pytest.raises(OptionError, match="1,000 rows"):
        sizes_of(1000, [2000, 10])
    with pytest.raises(OptionError, match="two numbers of rows or more"):
        sizes_of(10, [])


def test_a_search_finds_the_better_group_and_says_what_it_gains(tmp_path: Path) -> None:
    """Each trial is recorded when it is asked for, at an accuracy that grows with the second group's fraction."""
    trials, settings = Surface(tmp_path), SearchSettings(rows=100, trials=5, rounds=2, seeds=4, seed=1)
    found = search_mixture(trials, settings)
    assert found.own == (0.75, 0.25) and found.trials[0].origin == "recipe" and len(found.trials) == 10
    assert found.found[1] > 0.85 and sum(found.counts) == 100
    assert min(one.fractions[1] for one in found.trials[5:]) > 0.5, "the second round tries what looked best"
    assert found.gain is not None and found.gain.measured.low is not None and found.gain.measured.low > 0
    assert found.gain.predicted == pytest.approx(found.gain.measured.value, abs=0.1)
    assert found.gain.other_problems and trials.seeds_asked == {(5 + FURTHER_SEED + one, 1_000_004) for one in range(4)}
    assert MixtureSearch.read(trials.folder / "mixture-cold_start.json") == found
    asked = trials.asked
    assert search_mixture(trials, settings) == found and trials.asked == asked, "what is measured is kept"


class Surface(Trials):
    """Trials whose accuracy is known before they are run."""

    def __init__(self, folder: Path) -> None:
        known = trials_of(folder)
        super().__init__(known.plan, known.stage, known.mode, known.console)
        object.__setattr__(self, "asked", 0)
        object.__setattr__(self, "seeds_asked", set())

    def measured(self, planned: PlannedTrial) -> Trial:
        if not (self.folder / planned.key / TRIAL).exists():
            object.__setattr__(self, "asked", self.asked + 1)
            seed = planned.recipe.stage("cold_start").trainer.get("seed")
            if seed is not None:
                self.seeds_asked.add((seed, planned.recipe.evaluations.seed))
            recorded(self, planned, 0.3 + 0.5 * planned.counts[1] / sum(planned.counts) + 0.001 * ((seed or 0) % 3))
        return super().measured(planned)


def test_a_search_that_cannot_say_anything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="write --trials 4 or more"):
        search_mixture(trials_of(tmp_path), SearchSettings(trials=3))
    one = [{"source": "chain-sum", "split": "cold_start", "count": 96}]
    with pytest.raises(OptionError, match="one part of data"):
        search_mixture(trials_of(tmp_path, data=one), SearchSettings())
    endless = [{"source": "chain-sum", "split": "cold_start"}]
    with pytest.raises(OptionError, match="write the `count` of this part"):
        trials_of(tmp_path, data=endless).rows()


@pytest.mark.long
def test_trials_are_trained_once_from_the_same_start_and_leave_no_policy(tmp_path: Path) -> None:
    trainer = {"max_steps": 2, "per_device_train_batch_size": 4}
    recipe = yaml.safe_load(written(tmp_path, trainer=trainer).read_text(encoding="utf-8"))
    first = [{**part, "split": "fusion"} for part in recipe["stages"][0]["data"]]
    recipe["stages"].insert(0, {**recipe["stages"][0], "name": "format", "data": first})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    command = [
        "rows",
        str(tmp_path / "recipe.yaml"),
        "--run",
        str(tmp_path / "run"),
        "--stage",
        "cold_start",
        "--sizes",
        "8,16",
    ]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, f"{said.output}{said.exception}"
    made = sorted((tmp_path / "run" / "trials").glob("*/trial.json"))
    assert len(made) == 2
    trials = [Trial.read(path) for path in made]
    assert {one.rows for one in trials} == {8, 16} and {one.steps for one in trials} == {2}
    for path in made:
        assert (path.parent / "01-format").resolve() == tmp_path / "run" / "01-format"
        assert not (path.parent / "02-cold_start" / "output").exists()
    times = [path.stat().st_mtime_ns for path in made]
    shutil.rmtree(made[0].parent / "02-cold_start")  # nothing of it is needed again
    assert CliRunner().invoke(app, command).exit_code == 0
    assert [path.stat().st_mtime_ns for path in made] == times
