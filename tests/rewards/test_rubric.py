"""Rubrics as rewards: weighted binary criteria, or one grade, of the row or of the recipe."""

import json
from typing import Any

import pytest

from judge_server import JudgeServer
from rewards import Rollout, Verdict, spec_faults
from rewards.kinds.judge.rubric import Criterion, read_rubric, weighted_score
from rewards.kinds.judge.verifier import Judge

RUBRIC = [
    {"text": "It names blue", "weight": 3},
    {"text": "It names red", "weight": 1},
    {"text": "It promises gold", "weight": -2},
]


def judged(server: JudgeServer, answer: str, rubric: Any = None, **options: Any) -> Verdict:
    judge = Judge(base_url=server.base_url, form="rubric", retries=0, timeout_seconds=10.0, **options)
    (verdict,) = judge.judge([Rollout("Paint a house.", answer, columns={"rubric": rubric})])
    return verdict


@pytest.mark.parametrize(
    ("answer", "score", "reason"),
    [
        ("blue red", 1.0, "rubric_passed"),
        ("blue", 0.75, "rubric_failed"),
        ("red", 0.25, "rubric_failed"),
        ("blue red gold", 0.5, "rubric_failed"),
        ("gold", 0.0, "rubric_failed"),
    ],
)
def test_a_score_is_the_earned_weight_over_the_whole_weight(answer: str, score: float, reason: str) -> None:
    with JudgeServer() as server:
        verdict = judged(server, answer, json.dumps(RUBRIC))
        same = judged(server, answer, RUBRIC)
    assert (verdict.score, verdict.reason) == (same.score, same.reason) == (score, reason)
    assert "weight" not in server.requests[0]["messages"][-1]["content"].split("RUBRIC>>>")[1]


def test_a_recipes_rubric_is_for_every_row_and_needs_no_column() -> None:
    with JudgeServer() as server:
        judge = Judge(base_url=server.base_url, form="rubric", rubric=["It names blue", "It names red"], retries=0)
        assert judge.columns == ()
        (verdict,) = judge.judge([Rollout("Paint.", "blue")])
    assert (verdict.score, verdict.evidence["failed"]) == (0.5, ["It names red"])


def test_one_grade_is_asked_with_all_criteria_and_their_weights_shown() -> None:
    with JudgeServer() as server:
        verdict = judged(server, "one two three four", RUBRIC, aggregate="one_grade")
    assert (verdict.score, verdict.reason) == (pytest.approx(3 / 9, abs=1e-6), "graded")
    assert "1. It names blue [weight 3]" in server.requests[0]["messages"][-1]["content"]


def test_a_severity_caps_what_the_rest_can_earn() -> None:
    critical, rest = Criterion("harmless", 1.0, "critical"), Criterion("long", 9.0)
    assert weighted_score([critical, rest], [True, True]) == 1.0
    assert weighted_score([critical, rest], [False, True]) == 0.2
    assert weighted_score([rest, Criterion("lies", -1.0, "critical")], [True, True]) == 0.2
    assert weighted_score([rest, Criterion("lies", -1.0, "critical")], [True, False]) == 1.0


def test_a_judge_without_reasoning_is_asked_for_the_verdict_alone() -> None:
    with JudgeServer(reply='{"criterion_1": true, "criterion_2": false, "criterion_3": false}') as server:
        verdict = judged(server, "anything", RUBRIC, reasoning=False)
    assert verdict.score == 0.75
    assert "reasoning" not in server.requests[0]["response_format"]["json_schema"]["schema"]["properties"]


@pytest.mark.parametrize(
    "rubric",
    [
        [],
        "x",
        [{}],
        [{"text": "a", "weight": 0}],
        [{"text": "a", "weight": -1}],
        ["a"] * 41,
        [{"text": "a", "weight": "2"}],
    ],
)
def test_an_unusable_rubric_is_no_verdict_and_is_refused_in_a_recipe(rubric: Any) -> None:
    with JudgeServer() as server:
        verdict = judged(server, "x", rubric)
    assert (verdict.score, verdict.reason, server.requests) == (None, "rubric_unusable", [])
    if isinstance(rubric, list) and rubric:
        assert "rubric must be a list" in spec_faults([{"kind": "judge", "form": "rubric", "rubric": rubric}])[0]
    assert "read by `form: rubric` alone" in spec_faults([{"kind": "judge", "rubric": ["a"]}])[0]


def test_published_rubrics_are_read_under_their_own_keys() -> None:
    found = read_rubric([{"title": "Colour", "description": "Names blue", "weight": 5}, {"criterion": "Short"}])
    assert found == (Criterion("Names blue", 5.0), Criterion("Short", 1.0))
