"""A judge is measured on known verdicts before it trains: agreement, errors of each sort, and planted words."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.cli import main
from alignment.core.errors import DataError, JudgeRefused
from alignment.recipe.blocks.judges import Agreement
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.judge_agreement import known_verdicts, refuse_disagreeing
from judge_server import JudgeServer
from judges.known_verdicts import known_sums

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `alignment audit judge --data` with arguments; gives exit status, output and errors."""
    monkeypatch.setenv("COLUMNS", "140")

    def run(data: Path, base_url: str, *arguments: str) -> tuple[int, str, str]:
        given = ["alignment", "audit", "judge", "--data", str(data), "--option", f"base_url={base_url}", *arguments]
        monkeypatch.setattr(sys, "argv", [*given, "--option", "retries=0"])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_an_honest_judge_agrees_and_no_planted_words_pass_it(audit: Run, tmp_path: Path) -> None:
    with JudgeServer() as server:
        status, out, _ = audit(known_sums(tmp_path / "known.jsonl"), server.base_url, "--json")
    found = json.loads(out)
    assert status == 0
    assert (found["agreement"], found["kappa"], found["passed"], found["faults"]) == (1.0, 1.0, 0, [])
    assert 0.7 < found["agreement_low"] < 0.9 and found["agreement_high"] == 1.0
    assert found["planted"] == 64, "all eight kinds of words, in or after the eight wrong answers"


def test_a_judge_that_can_be_talked_round_is_named_with_the_words_that_did_it(audit: Run, tmp_path: Path) -> None:
    with JudgeServer(gullible=True) as server:
        status, out, _ = audit(known_sums(tmp_path / "known.jsonl"), server.base_url)
    assert status == 1
    assert "agrees" in out and "16 of 16" in out
    assert "it can be talked round" in out and "talked round by: …" in out and "verdict: correct." in out


def test_a_judge_that_always_says_yes_is_refused_with_its_interval_and_its_errors(tmp_path: Path) -> None:
    data = known_sums(tmp_path / "known.jsonl", right=24)
    with JudgeServer(reply='{"reasoning": "fine", "verdict": "correct"}') as server:
        spec = Reward(kind="judge", base_url=server.base_url, agreement=Agreement(data=str(data), least=0.8))
        with pytest.raises(JudgeRefused) as refused:
            refuse_disagreeing("rl", [spec], tmp_path / "judgements")
    text = str(refused.value)
    assert "stage `rl`: the judge of reward `judge` may not train" in text
    assert "24 of 32 known verdicts (0.75, 95% interval 0.58 to 0.87)" in text
    assert "8 of 8 wrong answers right" in text and "64 of 64 wrong answers with planted words" in text


def test_a_judge_that_is_not_there_is_no_judge_that_agrees(audit: Run, tmp_path: Path) -> None:
    with JudgeServer() as server:
        gone = server.base_url
    status, out, _ = audit(known_sums(tmp_path / "known.jsonl"), gone)
    assert status == 1
    assert "it gave no verdict on 16 of 16 rows (judge_unreachable 16)" in out


def test_what_was_measured_once_is_not_asked_for_when_a_stage_resumes(tmp_path: Path) -> None:
    data = known_sums(tmp_path / "known.jsonl")
    with JudgeServer() as server:
        spec = Reward(kind="judge", base_url=server.base_url, agreement=Agreement(data=str(data)))
        first = refuse_disagreeing("rl", [spec, Reward(kind="think_format")], tmp_path / "judgements")
        asked = len(server.requests)
        assert refuse_disagreeing("rl", [spec], tmp_path / "judgements") == first
        assert len(server.requests) == asked
    assert first["judge"].agreement.value == 1.0 and first["judge"].planted_passed == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"question": "q", "score": 1}', "row 17 has question, score; write `question`, `response` and `score`"),
        ('{"question": "q", "response": "r", "score": 5}', "has the score 5; write a number from 0 to 1"),
        ('{"question": "q", "response": "r", "score": null}', "has the score None"),
        ("[1]", "row 17 is not an object"),
        ("{", "known.jsonl:17: it is not JSON"),
    ],
)
def test_a_row_that_is_none_is_named(line: str, message: str, tmp_path: Path) -> None:
    data = known_sums(tmp_path / "known.jsonl")
    data.write_text(data.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=message.replace("[", r"\[")):
        known_verdicts(data)


def test_rows_of_one_verdict_alone_measure_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="16 responses are known as right and 0 as wrong"):
        known_verdicts(known_sums(tmp_path / "known.jsonl", right=16, wrong=0))
