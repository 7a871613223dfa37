"""`alignment processbench` measures a model on files and tasks, and best of N with a policy, and writes one record."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from alignment.commands.processbench.benching import _without_run, outcome_model_of, shown
from alignment.commands.processbench.refused import refuse
from alignment.core.errors import DataError, OptionError
from alignment.core.resources import resource
from alignment.evaluation.process.best_of import Candidate
from alignment.evaluation.process.candidates import answers_auc
from alignment.evaluation.process.job import run
from alignment.evaluation.process.measure import _scores
from alignment.evaluation.process.stress import STRESS
from alignment.evaluation.process.work import ProcessWork
from alignment.inference.process_model import Solution
from alignment.records.process import ProcessRecord
from process.step_scorers import untrained_scorer
from scorers.reward_models import untrained_reward_model

WRONG_AT_1 = {"problem": "1 + 3 + 1 =", "steps": ["1 + 3 = 4", "4 + 1 = 6", "\\boxed{6}"], "label": 1}
RIGHT = {"problem": "1 + 3 + 1 =", "steps": ["1 + 3 = 4", "4 + 1 = 5", "\\boxed{5}"], "label": -1}


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A process reward model that has learned nothing."""
    return untrained_scorer(tmp_path_factory.mktemp("scorer"))


def test_one_record_holds_f1_calibration_stress_tests_and_the_best_of_n(
    scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps([WRONG_AT_1, RIGHT]), encoding="utf-8")
    work = ProcessWork(
        model=str(scorer), name="prm", files=(str(bench),), tasks=("chain-sum",), count=6, threshold_rows=10,
        policy=str(resource("data/base")), samples=4, settings={"max_completion_tokens": 24, "engine": "transformers"},
        outcome=str(untrained_reward_model(tmp_path / "taste")), outcome_name="taste",
    )  # fmt: skip
    run(work, tmp_path / "process.json")
    record = ProcessRecord.read(tmp_path / "process.json")
    by_name = {one.name: one for one in record.subsets}
    assert (by_name["bench"].errors, by_name["bench"].right) == (1, 1)
    assert by_name["corrupted chain-sum"].errors + by_name["corrupted chain-sum"].right == 6
    assert record.threshold_from == "other corrupted chain-sum"
    assert [one.name for one in record.stress] == list(STRESS)
    assert [one.n for one in record.best_of] == [1, 2, 4]
    first = record.best_of[0]
    assert first.minimum == first.product == first.pass_at_n  # one answer leaves no choice
    assert record.best_of[-1].mean_tokens > first.mean_tokens
    assert record.outcome_model == "taste" and record.outcome_unscored <= 24
    assert (
        record.answers_auc is None or 0 <= record.answers_auc <= 1
    )  # None where every answer is as wrong as the others
    shown(record, tmp_path / "process.json", as_json=False)
    printed = capsys.readouterr().out
    assert "corrupted chain-sum" in printed and "best of N, outcome reward by taste" in printed


def test_the_outcome_reward_is_a_stage_of_the_measured_run_or_a_model_with_a_slash(tmp_path: Path) -> None:
    model = untrained_reward_model(tmp_path / "taste")
    for named, folder in ((f"{model}/", str(model)), ("somebody/taste", "somebody/taste")):
        assert outcome_model_of(tmp_path, named).folder == folder
    with pytest.raises(OptionError, match="names a stage, and .* is no run; write a folder or hub id, with a slash"):
        outcome_model_of(model, "taste")
    with pytest.raises(OptionError, match="write --policy beside --outcome"):
        refuse(ProcessWork("m", "m", tasks=("chain-sum",), outcome="somebody/taste"))


def test_a_right_answer_that_scores_above_a_wrong_one_counts_for_the_area_and_one_without_a_score_does_not() -> None:
    right, wrong, unfinished = (
        Candidate([0.9, 0.4], "5", True, 9),
        Candidate([0.5, 0.3], "6", False, 9),
        Candidate([], None, False, 9),
    )
    assert answers_auc([[right, wrong], [unfinished]], "minimum") == 1.0
    assert answers_auc([[right, unfinished]], "minimum") is None


def test_what_scores_computes_in_the_precision_that_is_asked_for(
    scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps([WRONG_AT_1, RIGHT]), encoding="utf-8")
    base = str(resource("data/base"))
    for asked in ({"model": str(scorer)}, {"model": base, "logprobs": "mean"}, {"model": base, "generative": True}):
        work = ProcessWork(name="it", files=(str(bench),), steps="line", stress=False, **asked)
        found = {}
        for precision in ("auto", "float32", "bfloat16"):
            run(replace(work, precision=precision), tmp_path / f"{precision}.json")
            record = ProcessRecord.read(tmp_path / f"{precision}.json")
            assert record.stress == ()
            assert record.precision == ("float32" if precision == "auto" else precision)
            found[precision] = [score for one in record.traces for score in one.scores]
        assert found["auto"] == found["float32"] != found["bfloat16"] == pytest.approx(found["auto"], abs=0.02)
    with pytest.raises(OptionError, match="leave out --dtype"):
        asked_judge = {"base_url": "http://127.0.0.1:1/v1", "api_key_env": ""}
        refuse(ProcessWork("", "judge", files=(str(bench),), precision="bfloat16", judge=asked_judge))


def test_reports_come_within_a_few_dozen_solutions_and_scores_stay_with_their_rows() -> None:
    class Lengths:
        """Scores each step by its length."""

        def __init__(self) -> None:
            self.parts: list[int] = []

        def scores(self, solutions: Sequence[Solution]) -> list[list[float] | None]:
            self.parts.append(len(solutions))
            return [[1 / len(step) for step in one.steps] for one in solutions]

    solutions = [Solution([], ["x" * (1 + 7 * place % 50)]) for place in range(100)]
    model = Lengths()
    assert _scores(model, "bench", solutions) == [[1 / len(one.steps[0])] for one in solutions]
    assert max(model.parts) <= 32


def test_what_belongs_to_no_run_has_a_file_of_its_own_for_each_model_and_judge() -> None:
    assert str(_without_run("Qwen/qwen-prm")) == "runs/process-Qwen-qwen-prm.json"
    assert str(_without_run("there/runs/mine/01-prm/output")) == "runs/process-mine-01-prm-output.json"
    assert str(_without_run("https://judge.example:8000/v1")) == "runs/process-judge.example-8000-v1.json"


def test_a_task_without_chains_needs_a_policy(scorer: Path, tmp_path: Path) -> None:
    work = ProcessWork(model=str(scorer), name="prm", tasks=("programs",), count=4)
    with pytest.raises(DataError, match="--policy"):
        run(work, tmp_path / "process.json")


def test_a_file_with_a_row_that_cannot_be_read_is_refused_by_its_line(scorer: Path, tmp_path: Path) -> None:
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps([RIGHT, {**RIGHT, "label": 9}]), encoding="utf-8")
    with pytest.raises(DataError, match="label"):
        run(ProcessWork(model=str(scorer), name="prm", files=(str(bench),)), tmp_path / "process.json")
