"""Soft flags: they ask for a mode, they stand in user and system turns only, and the last one wins."""

from typing import Any

import pytest

from alignment.data.chat.modes import flagged_mode, with_flag


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize(
    ("messages", "mode"),
    [
        ([user("2 + 2")], None),
        ([user("2 + 2 /think")], "thinking"),
        ([user("2 + 2 /no_think")], "non_thinking"),
        ([user("/no_think 2 + 2?")], "non_thinking"),
        ([user("a /think b /no_think")], "non_thinking"),
        ([user("a /no_think b /think")], "thinking"),
        ([{"role": "system", "content": "Be brief. /no_think"}, user("2 + 2")], "non_thinking"),
        ([{"role": "system", "content": "/no_think"}, user("2 + 2 /think")], "thinking"),
        ([user("a /think"), assistant("/no_think"), user("b")], "thinking"),  # what the assistant writes asks nothing
        ([user("a /think"), assistant("4"), user("b /no_think")], "non_thinking"),
    ],
)
def test_the_last_flag_in_a_user_or_system_turn_decides(messages: list[dict[str, Any]], mode: str | None) -> None:
    assert flagged_mode(messages) == mode


@pytest.mark.parametrize("text", ["see /thinking", "notes/think", "//think", "/no_thinking", "x/no_think", "/Think"])
def test_what_only_looks_like_a_flag_is_none(text: str) -> None:
    assert flagged_mode([user(text)]) is None


def test_content_that_is_not_text_has_no_flag() -> None:
    assert flagged_mode([user([{"type": "text", "text": "/think"}])]) is None


@pytest.mark.parametrize("mode", ["thinking", "non_thinking"])
def test_a_flag_that_was_put_on_is_read_back(mode: Any) -> None:
    talk = [user("a /think"), assistant("4"), user("b"), assistant("5")]
    flagged = with_flag(talk, mode)
    assert flagged_mode(flagged) == mode
    assert [message["content"] for message in flagged] == ["a /think", "4", flagged[2]["content"], "5"]
    assert talk[2]["content"] == "b"  # the given messages stay as they are
