"""What a chat request asks for, and which token a budget writes next; without a server."""

import asyncio
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from alignment.inference.thinking_budget import BudgetRule, ThinkTokens
from alignment.records.adaptive import AdaptiveBudget, Bin, Probe, Target
from alignment.serve.middleware import SETTINGS, ServerSettings, ThinkingRequests
from alignment.serve.requests import EXTRA, resolve

OPEN, CLOSE, LINE, WORD = 1, 2, 3, 9


def request(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


def test_the_switch_reaches_the_template_and_other_settings_of_it_stay() -> None:
    resolved = resolve(request("2 + 2 /no_think", chat_template_kwargs={"tone": "dry"}, top_p=0.5))
    assert resolved.body["chat_template_kwargs"] == {"tone": "dry", "enable_thinking": False}
    assert resolved.body["top_p"] == 0.5 and resolved.body["messages"][0]["content"] == "2 + 2 /no_think"
    assert resolve(request("2 + 2")).body["chat_template_kwargs"] == {"enable_thinking": True}


def test_a_budget_goes_where_the_engine_looks_for_it_and_nowhere_else() -> None:
    resolved = resolve(request("2 + 2", thinking_budget=7, vllm_xargs={"other": 1}))
    assert resolved.budget == 7
    own = resolved.as_sent(7, native=False)
    assert own["vllm_xargs"] == {"other": 1, EXTRA: 7} and "thinking_token_budget" not in own
    assert "thinking_budget" not in own
    assert resolved.as_sent(7, native=True)["thinking_token_budget"] == 7
    assert EXTRA not in resolved.as_sent(None, native=False)["vllm_xargs"]


def test_a_budget_means_nothing_where_there_is_no_thinking() -> None:
    resolved = resolve(request("2 + 2 /no_think", thinking_token_budget=7))
    assert resolved.budget is None
    assert resolved.as_sent(64, native=True) == resolved.body and "thinking_token_budget" not in resolved.body


@pytest.mark.parametrize("messages", [None, 5, ["a"], [{"role": "user"}], [{"role": "user", "content": [5]}]])
def test_what_is_no_conversation_is_left_to_vllm(messages: Any) -> None:
    assert resolve({"messages": messages}).body["messages"] == messages


@pytest.mark.parametrize("stop", [[LINE, WORD, CLOSE, LINE], [CLOSE], [LINE, LINE, CLOSE, WORD, WORD]])
def test_the_tokens_that_a_server_forces_are_those_of_the_rule(stop: list[int]) -> None:
    """Whatever the policy writes, and whatever the prompt has opened: blocks that open and close again, under each budget."""
    pytest.importorskip("vllm")
    from alignment.serve.budget_processor import next_forced

    tokens, forced_tokens = ThinkTokens(OPEN, CLOSE, "", tuple(stop)), 0
    for seed, budget in itertools.product(range(150), (0, 1, 3, 8)):
        policy = random.Random(seed)
        words = [WORD, WORD, WORD, LINE, OPEN, CLOSE]
        prompt = [policy.choice(words) for _ in range(seed % 7)] + [WORD] * (seed % 2)
        rule, written = BudgetRule(prompt, budget, tokens), list[int]()
        for _ in range(30):
            forced = next_forced(prompt, written, budget, (OPEN, CLOSE), stop)
            assert forced == rule.forced(), (seed, budget, written)
            written.append(policy.choice(words) if forced is None else forced)
            rule.advance(written[-1])
            forced_tokens += forced is not None
    assert forced_tokens > 1000


class Application:
    """An ASGI application that keeps what it was asked and counts a prompt's tokens by its letters."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        assert dict(scope["headers"])[b"content-length"] == str(len(message["body"])).encode()
        body = json.loads(message["body"])
        self.asked.append((scope["path"], body))
        refused = scope["path"] == "/tokenize" and not body["messages"]
        answer = json.dumps({"count": sum(len(turn["content"]) for turn in body["messages"])}).encode()
        await send({"type": "http.response.start", "status": 400 if refused else 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})


def posted(application: Application, body: dict[str, Any], status: int = 200) -> dict[bytes, bytes]:
    """Send a chat request in two pieces through the middleware; returns the headers of the answer."""
    raw, sent = json.dumps(body).encode(), []
    pieces = iter([{"body": raw[:7], "more_body": True}, {"body": raw[7:], "more_body": False}])

    async def receive() -> Any:
        return {"type": "http.request", **next(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"content-length", b"1")]}
    asyncio.run(ThinkingRequests(application)(scope, receive, send))
    assert sent[0]["status"] == status
    return dict(sent[0]["headers"])


def test_a_prompts_length_decides_its_budget_and_a_refused_probe_refuses_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bins = (Bin(up_to=5, budget=16, problems=1), Bin(up_to=None, budget=64, problems=1))
    AdaptiveBudget(
        stage="s", policy="p", task="t", probe=Probe(kind="prompt_tokens"), bins=bins, target=Target(tokens=9.0),
    ).write(tmp_path / "adaptive.json")  # fmt: skip
    settings = ServerSettings(native_budget=True, adaptive=str(tmp_path / "adaptive.json"))
    monkeypatch.setenv(SETTINGS, settings.as_text())
    for content, budget in (("2 + 2", 16), ("2 + 2 + 2", 64)):
        application = Application()
        assert posted(application, request(content, temperature=0))[b"x-thinking-budget"] == str(budget).encode()
        (first, probe), (second, sent) = application.asked
        assert (first, second) == ("/tokenize", "/v1/chat/completions")
        assert "temperature" not in probe and probe["chat_template_kwargs"] == {"enable_thinking": True}
        assert sent["thinking_token_budget"] == budget and sent["temperature"] == 0
    for body in (request("2 + 2 /no_think"), request("2 + 2", thinking_token_budget=3)):
        application = Application()
        posted(application, body)
        assert [path for path, _ in application.asked] == ["/v1/chat/completions"]
    application = Application()
    assert posted(application, {"model": "m", "messages": []}, status=400) == {}
    assert [path for path, _ in application.asked] == ["/tokenize"], "what a probe is refused for is said to the client"
