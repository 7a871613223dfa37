"""What a chat request asks for, and which token a budget writes next; without a server."""

import itertools
import random
from typing import Any

import pytest

from alignment.server.requests import EXTRA, settle

OPEN, CLOSE, LINE, WORD = 1, 2, 3, 9


def request(content: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


def test_the_switch_reaches_the_template_and_other_settings_of_it_stay() -> None:
    settled = settle(request("2 + 2 /no_think", chat_template_kwargs={"tone": "dry"}, top_p=0.5))
    assert settled.body["chat_template_kwargs"] == {"tone": "dry", "enable_thinking": False}
    assert settled.body["top_p"] == 0.5 and settled.body["messages"][0]["content"] == "2 + 2 /no_think"
    assert settle(request("2 + 2")).body["chat_template_kwargs"] == {"enable_thinking": True}


def test_a_budget_goes_where_the_engine_looks_for_it_and_nowhere_else() -> None:
    settled = settle(request("2 + 2", thinking_budget=7, vllm_xargs={"other": 1}))
    assert settled.budget == 7
    own = settled.as_sent(7, native=False)
    assert own["vllm_xargs"] == {"other": 1, EXTRA: 7} and "thinking_token_budget" not in own
    assert "thinking_budget" not in own
    assert settled.as_sent(7, native=True)["thinking_token_budget"] == 7
    assert EXTRA not in settled.as_sent(None, native=False)["vllm_xargs"]


def test_a_budget_means_nothing_where_there_is_no_thinking() -> None:
    settled = settle(request("2 + 2 /no_think", thinking_token_budget=7))
    assert settled.budget is None
    assert settled.as_sent(64, native=True) == settled.body and "thinking_token_budget" not in settled.body


@pytest.mark.parametrize("messages", [None, 5, ["a"], [{"role": "user"}], [{"role": "user", "content": [5]}]])
def test_what_is_no_conversation_is_left_to_vllm(messages: Any) -> None:
    assert settle({"messages": messages}).body["messages"] == messages


def test_the_forced_tokens_are_those_of_two_draws() -> None:
    """Whatever the policy writes: its own tokens up to the budget, then the stop text, then its own again."""
    pytest.importorskip("vllm")
    from alignment.server.budget_processor import next_forced

    stop = [LINE, WORD, CLOSE, LINE]
    for seed, budget in itertools.product(range(60), (0, 1, 3, 8)):
        policy = random.Random(seed)
        own = [policy.choice([WORD, WORD, WORD, LINE, OPEN, CLOSE]) for _ in range(20)]
        if seed % 3:
            own = [OPEN, *own]
        written: list[int] = []
        spent = 0
        for _ in range(20):
            forced = next_forced(written, budget, (OPEN, CLOSE), stop)
            written.append(own[spent] if forced is None else forced)
            spent += forced is None
        start = own.index(OPEN) + 1 if OPEN in own else len(own)
        ended = CLOSE in own[start : start + budget] or start + budget > len(own)
        expected = own if ended else [*own[: start + budget], *stop, *own[start + budget :]]
        assert written == expected[:20], (seed, budget)
