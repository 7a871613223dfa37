"""What a run records as it goes: figures under declared names, unknown answers as unknown, resumption without losses."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from report_run import reported, write_run
from transformers import TrainerControl, TrainerState, TrainingArguments

from alignment.core.statistics.estimate import Estimate
from alignment.data.rows import Problem, user_turn
from alignment.evaluation.grading import GRADERS
from alignment.evaluation.job import recorded_sample
from alignment.inference.engine import Generation, GenerationRequest
from alignment.records.evaluation import EvaluationFigures
from alignment.records.metrics import METRICS, MetricsRow, metric
from alignment.records.rollout import RolloutRow
from alignment.records.run_folder import RunFolder
from alignment.report import phrases
from alignment.report.render import columns
from alignment.report.render.columns import COLUMNS, Column
from alignment.rollout.environments.protocol import Opening
from alignment.rollout.scoring import Judged, Scorer
from alignment.rollout.trajectory import one_turn
from alignment.training.callbacks import NAMES, OWN, Recorder
from alignment.training.context import StageContext

BREAKS = "a\u2028b"


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    folder = RunFolder(tmp_path).stage(1, "cold_start")
    folder.path.mkdir()
    stage: Any = SimpleNamespace(name="cold_start", kind="sft")
    recipe: Any = SimpleNamespace(seed=1, name="small")
    return StageContext(recipe, stage, RunFolder(tmp_path), folder, "base")


def logged(context: StageContext, *tokens: int, first: int = 1, seen: int = 0) -> Recorder:
    """A trainer's steps from `first` on, which say how many tokens they have trained on since it started."""
    recorder, control = Recorder(context), TrainerControl()
    arguments = TrainingArguments(output_dir=str(context.folder.checkpoints), report_to="none", use_cpu=True)
    state = TrainerState(max_steps=9, global_step=first - 1, num_input_tokens_seen=seen)
    recorder.on_train_begin(arguments, state, control)
    for step, count in enumerate(tokens, first):
        state.global_step = step
        logs = {"loss": 1.0, "num_tokens": count, "mean_token_accuracy": 0.5, "epoch": 0.1}
        recorder.on_log(arguments, state, control, logs=logs)
    return recorder


def rows(context: StageContext) -> list[MetricsRow]:
    return list(MetricsRow.read_lines(context.folder.metrics))


def test_each_step_says_how_fast_tokens_were_trained_on(context: StageContext) -> None:
    logged(context, 100, 250)
    first, second = rows(context)
    assert (first.step, first.figures["tokens"], second.figures["tokens"]) == (1, 100, 250)
    assert all(row.figures["tokens_per_second"] > 0 for row in (first, second))  # type: ignore[operator]
    assert first.figures["token_accuracy"] == 0.5 and "mean_token_accuracy" not in first.figures


@pytest.mark.parametrize(("seen", "reported_tokens"), [(0, (50, 90)), (250, (300, 340))])
def test_tokens_count_over_all_attempts_whether_or_not_the_trainer_counts_anew(
    context: StageContext, seen: int, reported_tokens: tuple[int, int]
) -> None:
    logged(context, 100, 250)
    resumed = logged(context, *reported_tokens, first=3, seen=seen)
    assert [row.figures["tokens"] for row in rows(context)] == [100, 250, 300, 340]
    assert resumed.tokens == 340


def test_every_name_that_is_logged_is_declared_once() -> None:
    assert {*NAMES.values(), *OWN} - {"rollout_entropy"} <= METRICS.keys()
    others = {
        "tokens_per_second",
        "held_out_loss",
        "held_out_preference_accuracy",
        "not_finite",
        "labels",
        "label_tokens",
        "accepted_fraction",
    }  # fmt: skip  written by what computes them, not by a trainer's log
    assert METRICS.keys() - others <= {*NAMES.values(), *OWN}, "what a trainer logs under another name is dropped"
    assert metric("reward/math_answer/mean").better == "more" and metric("token_accuracy").better == "more"


def test_resuming_keeps_a_rollout_whose_text_holds_a_line_separator(context: StageContext) -> None:
    for step in (1, 2, 3):
        MetricsRow(step).append(context.folder.metrics)
        RolloutRow(step, "p", BREAKS, "2", "thinking", None, BREAKS, 5, 3, 0, "end", 1.0).append(
            context.folder.rollouts
        )
    with context.folder.rollouts.open("a") as file:
        file.write('{"step": 4, "te')
    before = context.folder.rollouts.read_bytes().split(b"\n")[:2]
    context.drop_lines_after(2)
    assert [row.text for row in RolloutRow.read_lines(context.folder.rollouts)] == [BREAKS, BREAKS]
    assert context.folder.rollouts.read_bytes().split(b"\n")[:2] == before, "not a byte is changed"
    assert [row.step for row in rows(context)] == [1, 2]


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    made = Scorer(GRADERS)
    yield made
    made.close()


def answered(scorer: Scorer, problem: Problem, text: str) -> Judged:
    request = GenerationRequest([1], "thinking")
    made = Generation(request, [1] * 5, [0.0] * 5, [False] * 5, "end", text, 3)
    (judged,) = scorer.judge([problem], [one_turn(Opening(problem.messages, problem.tools), made)])
    return judged


def test_an_answer_that_could_not_be_judged_is_recorded_as_unknown_and_not_as_wrong(scorer: Scorer) -> None:
    unknown = Problem("u", [user_turn("Say.")], "", None, "c", {"instruction_id_list": ["no:such"], "kwargs": [{}]})
    assert recorded_sample(answered(scorer, unknown, "salt")).correct is None
    sums = Problem("s", [user_turn("1 + 1?")], "2", None, "sums")
    assert [recorded_sample(answered(scorer, sums, text)).correct for text in ("2", "3")] == [True, False]


def test_a_figure_of_evaluation_needs_its_measure_its_field_and_one_line_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/evaluation.md: what is a field of the record is in report.json, in the changes and in the page's schema."""
    assert all(hasattr(EvaluationFigures("thinking", 1, Estimate(1.0)), one.field) for one in COLUMNS)
    added = Column("think_follow_count", "asked by flag", phrases.count, "asked\nby flag")
    monkeypatch.setattr(columns, "COLUMNS", (*COLUMNS, added))
    run = write_run(tmp_path / "tiny")
    path = run / "04-mode_fusion" / "evaluations" / "thinking.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"think_follow_count": 1234}))
    document = reported(run)
    assert document["stages"][3]["evaluations"]["thinking"]["think_follow_count"] == 1234
    for name in ("report.md", "report.html"):
        text = (run / name).read_text(encoding="utf-8")
        assert "asked by flag" in text and "1,234" in text
    assert any(one.field == "think_follow_count" for one in columns.measured_columns([]))
