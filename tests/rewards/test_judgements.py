"""What a judge said is kept and not asked for again, and what asking costs is counted and held to a budget."""

import json
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from judge_server import JudgeServer, handler_of
from rewards import BudgetSpent, Rollout, Verdict, reward_function, spec_faults
from rewards.kinds.judge.judgements import Judgements, JudgementsUnwritable, Usage, judgement_key
from rewards.kinds.judge.verifier import Judge
from rewards.spending import Spending

USAGE = {"prompt_tokens": 90, "completion_tokens": 10}


def judge_of(server: JudgeServer, file: Path | None, **options: Any) -> Judge:
    kept = {} if file is None else {"judgements": str(file)}
    return Judge(base_url=server.base_url, **{"retries": 0, "timeout_seconds": 10.0, **kept, **options})


def judged(judge: Judge, *answers: str) -> list[Verdict]:
    return judge.judge([Rollout("What is 6 x 7?", answer, columns={"answer": "42"}) for answer in answers])


def test_a_second_run_asks_nothing_twice_and_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "judgements" / "judge.jsonl"
    answers = ["It is 42.", "It is 43.", "It is 42.", "", "It is 44."]
    with JudgeServer(usage=USAGE) as server:
        first = judge_of(server, file)
        before = judged(first, *answers)
        assert len(server.requests) == 3, "the same answer of a group is asked about once"
        second = judge_of(server, file)
        after = judged(second, *answers)
        assert len(server.requests) == 3
        judged(judge_of(server, file, temperature=0.5), "It is 42.")
        judged(judge_of(server, file, form="criteria"), "It is 42.")
        judged(judge_of(server, file, model="another"), "It is 42.")
        assert len(server.requests) == 6, "another temperature, form or model is another question"
    assert [one.score for one in before] == [one.score for one in after] == [1.0, 0.0, 1.0, 0.0, 0.0]
    assert [one.evidence.get("cached") for one in after] == [True, True, True, None, True]
    assert first.spending() == Spending(asked=3, cached=1, tokens=300)
    assert second.spending() == Spending(cached=4)
    assert second.spent_in_all().tokens == 600


def test_what_is_no_judgement_is_paid_for_and_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    with JudgeServer("garbage", "refuse", 500, usage=USAGE) as server:
        judge = judge_of(server, file)
        found = [judged(judge, "It is 42.")[0] for _ in range(4)]
    assert [one.reason for one in found] == ["judge_unparsable", "judge_refused", "judge_http_error", "correct"]
    assert judge.spending().tokens == 300, "a reply that cannot be read was paid for; an error was not"
    assert [json.loads(line)["content"] is None for line in file.read_text().splitlines()] == [True, True, False]


def test_several_processes_keep_their_judgements_in_one_file(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    write = (
        "import sys; from pathlib import Path; from rewards.kinds.judge.judgements import Judgements, Usage\n"
        "kept = Judgements(Path(sys.argv[1]))\n"
        "for number in range(200): kept.keep(f'{sys.argv[2]}-{number}', 'm', 'x' * 500, Usage(1, 1))\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", write, str(file), str(number)]) for number in range(3)]
    assert [one.wait(60) for one in started] == [0, 0, 0]
    reader = Judgements(file)
    assert all(reader.find(f"{process}-{number}") == "x" * 500 for process in range(3) for number in range(200))
    assert reader.spent_in_all() == Spending(asked=600, tokens=1200)


def test_a_line_that_a_kill_cut_short_costs_that_line_alone(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    kept = Judgements(file)
    kept.keep("a", "m", "one", Usage(1, 1))
    with file.open("ab") as half:
        half.write(b'{"key": "b", "model": "m", "con')
    kept.keep("c", "m", "three", Usage(1, 1))
    again = Judgements(file)
    assert [again.find(key) for key in "abc"] == ["one", None, "three"]
    assert kept.find("c") == "three"


def test_a_file_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "judge.jsonl").mkdir()
    with pytest.raises(JudgementsUnwritable, match=r"judge\.jsonl: judgements cannot be kept there"):
        Judgements(tmp_path / "judge.jsonl").keep("a", "m", "one", Usage(1, 1))


def test_a_question_is_known_without_its_random_marker() -> None:
    asked = [[{"role": "user", "content": f"<<<{marker} BEGIN X>>> 1 + 1"}] for marker in ("abc", "xyz", "xyz")]
    keys = [judgement_key("m", {"t": 0}, one, marker) for one, marker in zip(asked, ("abc", "xyz", ""), strict=True)]
    assert keys[0] == keys[1] != keys[2]
    assert judgement_key("m", {"t": 1}, asked[0], "abc") != keys[0]


@pytest.mark.parametrize(
    ("limit", "said"),
    [({"max_tokens_total": 200}, "max_tokens_total 200"), ({"max_cost": 0.0002}, "max_cost 0.0002")],
)
def test_a_spent_budget_stops_in_words_and_scores_nothing(tmp_path: Path, limit: dict[str, Any], said: str) -> None:
    prices = {"price_per_million_input": 1.0, "price_per_million_output": 1.0}
    options = {"judgements": str(tmp_path / "judge.jsonl"), "concurrency": 1, "retries": 0, **prices}
    answers = [f"It is {number}." for number in range(40, 44)]
    with JudgeServer(usage=USAGE) as server:
        spec = {"kind": "judge", "base_url": server.base_url, **options}
        with reward_function([{**spec, **limit}]) as reward, pytest.raises(BudgetSpent) as stopped:
            reward(["q"] * 4, answers, answer=["42"] * 4)
        assert reward.spending().tokens == 200
        assert "tokens 200" in str(stopped.value) and said in str(stopped.value)
        assert len(server.requests) == 2
        with reward_function([{**spec, **limit}]) as again, pytest.raises(BudgetSpent):
            again(["q"] * 4, answers, answer=["42"] * 4)
        assert len(server.requests) == 2, "a new start does not make the budget new"
        with reward_function([{**spec, "max_tokens_total": 10_000}]) as raised:
            assert raised(["q"] * 4, answers, answer=["42"] * 4) == [0.0, 0.0, 1.0, 0.0]
        assert len(server.requests) == 4, "what was judged is not paid for again"
        assert raised.spent_in_all() == Spending(asked=4, tokens=400, cost=pytest.approx(0.0004))


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -5, "completion_tokens": 0}, {"prompt_tokens": True}])
def test_an_endpoint_that_hides_what_it_took_is_estimated(usage: dict[str, Any] | None) -> None:
    with JudgeServer(usage=usage) as server:
        judge = judge_of(server, None)
        judged(judge, "It is 42.")
    characters = sum(len(one["content"]) for one in server.requests[0]["messages"])
    assert characters / 4 < judge.spending().tokens < characters / 2


def test_a_server_that_is_being_started_again_is_waited_for() -> None:
    back = JudgeServer()
    back.server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(back), bind_and_activate=False)
    back.server.server_bind()  # nobody listens there yet, and nobody else can
    back.base_url = f"http://127.0.0.1:{back.server.server_address[1]}/v1"
    judge = judge_of(back, None, patience_seconds=20.0)

    def start() -> None:
        time.sleep(1.0)
        back.server.server_activate()
        back.server.serve_forever(0.02)

    threading.Thread(target=start, daemon=True).start()
    (verdict,) = judged(judge, "It is 42.")
    back.server.shutdown()
    back.server.server_close()
    assert verdict.score == 1.0
    assert verdict.evidence["attempts"] > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_cost": 1.0}, "max_cost needs price_per_million_input"),
        ({"max_tokens_total": -1}, "must be 0 or above"),
        ({"patience_seconds": -1}, "patience_seconds must not be below zero"),
        ({"temperature": 3}, "temperature must be from 0 to 2"),
    ],
)
def test_budgets_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    assert message in "\n".join(spec_faults([{"kind": "judge", **options}]))
