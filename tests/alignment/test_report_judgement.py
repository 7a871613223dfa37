"""What the report concludes from recorded facts: change, rank correlation, alarms and the choice of samples."""

from pathlib import Path
from typing import Any

import pytest

from alignment.core.statistics.estimate import Estimate
from alignment.records.evaluation import EvaluationFigures, EvaluationRecord, Sample, TaskScore
from alignment.records.metrics import MetricsRow
from alignment.records.sweep import Place, SweepFigures, SweepPoint
from alignment.report.alarms import alarms
from alignment.report.alarms.modes import trained_both_modes
from alignment.report.changes import accuracy_change, evaluated_before, spearman
from alignment.report.document import AccuracyChange, Change
from alignment.report.figures.svg import ticks
from alignment.report.render.samples import HEAD, TAIL, clip, comparisons
from alignment.report.run import Run, Stage

BOTH_MODES = {"stage": {"data": [{"mode": "thinking"}, {"mode": "non_thinking"}]}}


def score(accuracy: float, count: int = 500) -> TaskScore:
    return TaskScore("sum", count, Estimate(accuracy))


def evaluation(accuracy: float, samples: tuple[Sample, ...] = (), **measures: Any) -> EvaluationRecord:
    return EvaluationRecord(EvaluationFigures("thinking", 200, Estimate(accuracy), **measures), samples=samples)


def run_of(*stages: Stage) -> Run:
    return Run(Path("run"), "tiny", 0, "base", None, {}, None, stages, ())


def grpo(identity: dict[str, Any] | None = None, **series: list[float]) -> Stage:
    steps = range(len(next(iter(series.values()), [])))
    metrics = tuple(MetricsRow(step, figures={name: values[step] for name, values in series.items()}) for step in steps)
    return Stage("rl", "grpo", "finished", metrics=metrics, identity=identity or {})


def kinds(stage: Stage, changes: dict[str, Any] | None = None) -> set[str]:
    return {alarm.kind for alarm in alarms(run_of(stage), {stage.name: changes or {}})}


def changed(accuracy: float, verdict: Any) -> Change:
    return Change("before", "", AccuracyChange(accuracy, 0.0, verdict == "loss", verdict), (), {})


def test_a_small_difference_is_no_clear_change_and_a_large_one_is_named() -> None:
    assert accuracy_change(score(0.838), score(0.814)).verdict == "no clear change"
    assert accuracy_change(score(0.80), score(0.70)).verdict == "loss"
    assert accuracy_change(score(0.70), score(0.80)).verdict == "gain"
    assert accuracy_change(score(1.0), score(1.0)).z == 0


def test_the_z_score_is_the_textbook_one() -> None:
    # 60/100 against 75/100: pooled 0.675, z = 0.15 / sqrt(0.675 * 0.325 * 0.02) = 2.2646
    assert accuracy_change(score(0.60, 100), score(0.75, 100)).z == pytest.approx(2.265, abs=1e-3)


def test_a_stage_is_compared_with_what_it_was_made_from_and_not_with_a_sibling() -> None:
    found = {"thinking": evaluation(0.5)}
    start = Stage("start", "sft", "finished", evaluations=found, output_hash="a", inputs={"model": "m"})
    left = Stage("left", "grpo", "finished", evaluations=found, output_hash="b", inputs={"start": "a"})
    right = Stage("right", "grpo", "finished", evaluations=found, inputs={"start": "a"})
    stages = (start, left, right)
    assert evaluated_before(stages, 2, "thinking") is start
    assert evaluated_before(stages, 0, "thinking") is None


def sweep(*pairs: tuple[int, float | None]) -> list[SweepPoint]:
    return [
        SweepPoint(Place("s", "sums", "thinking", budget), SweepFigures(100, Estimate(accuracy)))
        for budget, accuracy in pairs
    ]


def test_spearman_ranks_ties_together_and_leaves_out_what_could_not_be_judged() -> None:
    assert spearman(sweep((0, 0.1), (10, 0.2), (20, 0.3), (30, None))) == 1.0
    assert spearman(sweep((0, 0.3), (10, 0.2), (20, 0.1))) == -1.0
    assert spearman(sweep((0, 0.1), (10, 0.2), (20, 0.2))) == pytest.approx(0.866, abs=1e-3)
    assert spearman(sweep((0, 0.2), (10, 0.2), (20, 0.2))) is None
    assert spearman(sweep((0, 0.2), (10, 0.3))) is None


@pytest.mark.parametrize(
    ("kind", "series"),
    [
        ("zero_variance_groups", {"zero_variance_groups": [0.4, 0.7]}),
        ("truncated_fraction", {"truncated_fraction": [0.1, 0.5]}),
        ("entropy_collapse", {"entropy": [1.0, 0.09]}),
        ("logprob_gap", {"logprob_gap": [0.01, 0.06]}),
        ("engine_rounded", {"merge_changed_fraction": [0.9, 0.1]}),
        ("unknown_verdicts", {"reward/math_answer/unknown_fraction": [0.04, 0.08]}),
    ],
)
def test_each_training_alarm_rings_above_its_threshold_only(kind: str, series: dict[str, list[float]]) -> None:
    assert kinds(grpo(**series)) == {kind}
    quiet = {name: [values[0], values[0]] for name, values in series.items()}
    assert kinds(grpo(**quiet)) == set()


def test_an_adapter_whose_updates_are_rounded_away_in_what_a_stage_leaves_rings() -> None:
    for left, expected in ((0.12, {"merge_rounded"}), (0.95, set())):
        assert kinds(Stage("tune", "sft", "finished", counts={"merge_changed_fraction": left})) == expected


def test_the_logprob_threshold_is_the_recipe_s_where_it_is_recorded() -> None:
    assert kinds(grpo({"stage": {"rollout": {"max_logprob_gap": 0.2}}}, logprob_gap=[0.1])) == set()


def test_programs_that_ran_without_isolation_are_reported() -> None:
    for isolation, expected in (("none", {"no_isolation"}), ("auto", set())):
        rewards = [{"kind": "python_tests", "weight": 1.0, "isolation": isolation}]
        assert kinds(grpo({"stage": {"rewards": rewards}})) == expected


def test_reward_that_rises_while_accuracy_falls_is_a_warning_only_where_the_loss_is_clear() -> None:
    stage = grpo(reward=[0.1, 0.9])
    for verdict, level in (("loss", "warning"), ("no clear change", "notice")):
        (alarm,) = alarms(run_of(stage), {"rl": {"thinking": changed(-0.05, verdict)}})
        assert (alarm.kind, alarm.level) == ("reward_up_accuracy_down", level)
    assert kinds(stage, {"thinking": changed(0.05, "gain")}) == set()


def test_think_follow_is_expected_only_from_the_stage_that_trained_both_modes_on() -> None:
    weak = {"thinking": evaluation(0.5, think_follow=0.6)}
    before = Stage("before", "sft", "finished", evaluations=weak)
    fused = Stage("fused", "sft", "finished", evaluations=weak, identity=BOTH_MODES)
    after = Stage("after", "grpo", "finished", evaluations=weak)
    found = alarms(run_of(before, fused, after), {})
    assert [alarm.stage for alarm in found] == ["fused", "after"]
    mixed = Stage("mixed", "sft", "finished", evaluations=weak, inputs={"mix": "a" * 64})
    found = alarms(run_of(before, Stage("mix", "fusion", "finished", identity={"thinking_fraction": 0.5}), mixed), {})
    assert [alarm.stage for alarm in found] == ["mixed"], "a fusion stage trains nothing, and what takes its rows both"


def test_a_fraction_of_thinking_rollouts_decides_over_the_mode_of_the_problems() -> None:
    assert trained_both_modes(grpo({"rollout": {"thinking_fraction": 0.5}, "data": [{"mode": "thinking"}]}))
    assert not trained_both_modes(grpo({"rollout": {"thinking_fraction": 1.0}} | BOTH_MODES))


def test_unjudged_answers_and_changed_inputs_ring() -> None:
    base = Stage("base_stage", "sft", "finished", output_hash="a")
    judged = Stage(
        "rl", "grpo", "finished", inputs={"base_stage": "b"}, evaluations={"thinking": evaluation(0.5, unknown=4)}
    )
    found = alarms(run_of(base, judged), {})
    assert {(alarm.kind, alarm.level) for alarm in found} == {
        ("evaluation_unknown", "notice"),
        ("stale_input", "warning"),
    }


def test_a_long_text_keeps_both_ends_and_says_what_is_missing() -> None:
    text = "a" * HEAD + "b" * 1234 + "c" * TAIL
    assert "1,234 characters left out" in clip(text) and clip(text).endswith("c" * TAIL)
    assert clip("short") == "short"


def test_a_lost_question_is_shown_before_a_gained_one() -> None:
    def answered(*marks: bool) -> tuple[Sample, ...]:
        return tuple(Sample("sum", question, "2", "2", mark, None) for question, mark in zip("kgl", marks, strict=True))

    first = Stage("one", "sft", "finished", evaluations={"thinking": evaluation(0.5, answered(True, False, True))})
    second = Stage("two", "grpo", "finished", evaluations={"thinking": evaluation(0.5, answered(True, True, False))})
    assert [one.story for one in comparisons(run_of(first, second))] == ["lost", "gained", "unchanged"]


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (0.3, 0.31), (0.0, 1.0), (12.0, 4096.0)])
def test_ticks_cover_their_range_with_few_round_values(low: float, high: float) -> None:
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high and len(found) <= 8


def test_an_alarm_over_unknown_verdicts_names_their_reasons_the_most_frequent_first() -> None:
    unknown = {"reward/judge/unknown_fraction": [0.5, 0.25]}
    unknown |= {
        "reward/judge/unknown/judge_refused": [0.125, 0.0],
        "reward/judge/unknown/judge_timed_out": [0.375, 0.25],
    }
    (found,) = (one for one in alarms(run_of(grpo(**unknown)), {}) if one.kind == "unknown_verdicts")
    assert (
        "could not judge 38% of the completions (mean over the stage): judge_timed_out, judge_refused." in found.message
    )
