"""What judge servers get wrong, question by question: another model answers, two verdicts in a reply, none at all."""

import time
from pathlib import Path

import pytest

from judge_server import JudgeServer
from rewards import Rollout, Verdict
from rewards.kinds.judge import endpoint
from rewards.kinds.judge.verifier import Judge


def judged(server: JudgeServer, count: int, judgements: Path | None = None, **options: object) -> list[Verdict]:
    """Verdicts on different right answers, asked one after another unless the options say otherwise."""
    given = {"retries": 0, "timeout_seconds": 5.0, "concurrency": 1, "judgements": str(judgements or ""), **options}
    judge = Judge(base_url=server.base_url, **given)  # type: ignore[arg-type]
    return judge.judge([Rollout("q", f"{'so ' * number}42", columns={"answer": "42"}) for number in range(count)])


def test_a_reply_of_another_model_than_before_is_no_verdict_and_is_not_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    with JudgeServer(misbehaves=lambda number: "other" if number == 3 else None) as server:
        found = judged(server, 4, kept)
        assert [one.score for one in found] == [1.0, 1.0, None, 1.0]
        assert found[2].reason == "judge_other_model"
        assert (found[2].evidence["answered_by"], found[2].evidence["before"]) == ("another-judge", "small-judge")
        assert [one.score for one in judged(server, 4, kept)] == [1.0] * 4, "it is asked again, and it alone"
        assert len(server.requests) == 5


def test_another_process_knows_by_the_file_which_model_answered_before(tmp_path: Path) -> None:
    with JudgeServer() as server:
        judged(server, 1, tmp_path / "kept.jsonl")
    with JudgeServer(misbehaves=lambda number: "other") as server:
        found = judged(server, 2, tmp_path / "kept.jsonl", model="small-judge")
    assert [(one.score, one.reason) for one in found] == [(1.0, "correct"), (None, "judge_other_model")]


def test_two_verdicts_in_one_reply_are_none() -> None:
    with JudgeServer("contradict") as server:
        first, second = judged(server, 2)
    assert (first.score, first.reason, second.score) == (None, "judge_unparsable", 1.0)


def test_a_server_that_stops_answering_is_not_asked_the_whole_batch() -> None:
    with JudgeServer(misbehaves=lambda number: "hang") as server:
        began = time.monotonic()
        found = judged(server, 100, timeout_seconds=0.3, concurrency=8)
        seconds = time.monotonic() - began
        assert len(server.requests) <= 16, "eight were let time out, and those that were under way"
    assert {one.reason for one in found} == {"judge_timed_out"}
    assert sum(one.evidence.get("asked") is False for one in found) >= 84
    assert seconds < 10


def test_a_server_that_hangs_for_a_while_is_waited_for_where_it_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "HUNG_SECONDS", 30.0)
    with JudgeServer("hang", "hang", "hang") as server:
        (verdict,) = judged(server, 1, timeout_seconds=0.2, patience_seconds=60.0)
    assert (verdict.score, len(server.requests)) == (1.0, 4)


def test_a_question_that_a_server_never_answers_is_given_up_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "HUNG_SECONDS", 1.0)
    with JudgeServer(misbehaves=lambda number: "hang") as server:
        (verdict,) = judged(server, 1, timeout_seconds=0.2, patience_seconds=3600.0)
    assert (verdict.score, verdict.reason) == (None, "judge_timed_out")
