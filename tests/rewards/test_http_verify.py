"""`http_verify`: rollouts in the shape that NeMo Gym's servers read, and no score where the service gave none."""

import json
import math
from typing import Any

import pytest
from verify_server import VerifyServer

from rewards import RewardSpecError, VerdictsUnavailable, reward_function, verdicts
from rewards.audit import audit_kind
from rewards.registry import KINDS

QUESTION = [{"role": "user", "content": "What is 6 + 6?"}]


def judged(url: str, *texts: str, **options: Any) -> list[tuple[float | None, str]]:
    judge = verdicts([{"kind": "http_verify", "url": url, "timeout_seconds": 5.0, "retries": 0, **options}])
    rows = judge([QUESTION] * len(texts), list(texts), expected_answer=["12"] * len(texts))
    return [(row["http_verify"].score, row["http_verify"].reason) for row in rows]


def test_a_service_passes_the_table_and_gets_what_openais_types_take() -> None:
    with VerifyServer() as server:
        found = audit_kind("http_verify", options={"url": server.url})
    assert (found.misjudged, found.not_audited, found.rows) == ((), "", len(KINDS["http_verify"].table))


def test_a_rollout_of_several_turns_is_sent_whole_with_the_rows_own_columns() -> None:
    call = {"type": "function", "function": {"name": "calculator", "arguments": {"expression": "6 + 6"}}}
    tool = {"type": "function", "function": {"name": "calculator", "parameters": {"type": "object"}}}
    turns = [
        {"role": "assistant", "reasoning_content": "I add.", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "12"},
        {"role": "assistant", "reasoning_content": "Done.", "content": r"\boxed{12}"},
    ]
    with VerifyServer() as server:
        judge = verdicts([{"kind": "http_verify", "url": server.url, "timeout_seconds": 5.0}])
        (row,) = judge(
            [[{"role": "system", "content": "Be brief."}, *QUESTION]], [turns], tools=[[tool]], expected_answer=["12"],
            mode=["thinking"], budget=[None], verifier_metadata=[{"level": 3}], completion_text=["x"],
        )  # fmt: skip
    (body,) = server.bodies
    assert row["http_verify"].score == 1.0
    assert [(one["role"], one["content"]) for one in body["responses_create_params"]["input"]] == [
        ("system", "Be brief."),
        ("user", "What is 6 + 6?"),
    ]
    output = body["response"]["output"]
    kinds = ["reasoning", "function_call", "function_call_output", "reasoning", "message"]
    assert [item["type"] for item in output] == kinds
    assert json.loads(output[1]["arguments"]) == {"expression": "6 + 6"}
    assert output[2]["call_id"] == output[1]["call_id"] and output[2]["output"] == "12"
    assert body["response"]["tools"][0]["name"] == "calculator"
    assert body["verifier_metadata"] == {"level": 3} and body["expected_answer"] == "12"
    assert {"mode", "budget", "completion_text", "tools"}.isdisjoint(body), "what the sampling says is not the row's"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [("garbage", "unparsable"), ("list", "unparsable"), ("nan", "unparsable"), ("mask", "masked"), (404, "http_error"), (500, "http_error")],
)  # fmt: skip
def test_what_a_service_cannot_judge_is_unknown_and_never_zero(failure: int | str, reason: str) -> None:
    with VerifyServer(failure) as server:
        assert judged(server.url, r"\boxed{12}") == [(None, reason)]


def test_a_service_that_is_late_is_asked_again_and_a_wrong_row_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewards.posting.BACKOFF_SECONDS", 0.01)
    with VerifyServer("slow", 503) as server:
        assert judged(server.url, r"\boxed{12}", timeout_seconds=0.5, retries=2) == [(1.0, "verified")]
        assert len(server.bodies) == 3
        judge = verdicts([{"kind": "http_verify", "url": server.url, "retries": 2}])
        (row,) = judge([QUESTION], ["12"], expected_answer=[12])
        assert (row["http_verify"].score, row["http_verify"].evidence["attempts"]) == (None, 1)
        assert "422" in row["http_verify"].evidence["detail"] and len(server.bodies) == 4
        (row,) = judge([QUESTION], ["12"], expected_answer=[math.nan])
        assert row["http_verify"].reason == "not_json" and len(server.bodies) == 4


def test_a_service_that_is_gone_leaves_its_rows_unknown_and_a_whole_batch_ends_the_run() -> None:
    with VerifyServer() as server:
        assert judged(server.url, r"\boxed{12}", r"\boxed{13}") == [(1.0, "verified"), (0.0, "verified")]
    assert judged(server.url, r"\boxed{12}") == [(None, "unreachable")]
    with pytest.raises(VerdictsUnavailable, match="unreachable"):
        judged(server.url, *["12"] * 8)


def test_keys_come_from_the_environment_and_only_safe_addresses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with VerifyServer() as server:
        assert judged(server.url, "12", api_key_env="NO_SUCH_KEY") == [(None, "api_key_missing")]
        monkeypatch.setenv("VERIFY_KEY", "secret")
        assert judged(f"{server.url}/verify", r"\boxed{12}", api_key_env="VERIFY_KEY") == [(1.0, "verified")]
        assert server.keys == ["Bearer secret"]
    for url, said in (
        ("http://10.0.0.7:8000", "write https://"),
        ("ftp://localhost", "write http:// or https://"),
        ("https://user:word@host", "no user, password"),
    ):
        with pytest.raises(RewardSpecError, match=said):
            reward_function([{"kind": "http_verify", "url": url}])
