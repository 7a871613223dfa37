"""Thinking and non-thinking: the soft flags that ask for a mode, and which of them counts.

Qwen3's rule: a flag may stand in any user or system turn, the last one wins, and without a flag the model thinks.
Neighbours: rows.py (Mode), render.py (the template's hard switch), inference/sampler.py (budgets).
"""

import re
from collections.abc import Sequence
from typing import Any

from alignment.core.vocabulary import Mode

FLAGS: dict[Mode, str] = {"thinking": "/think", "non_thinking": "/no_think"}
_FLAG = re.compile(r"(?<![\w/])/(no_)?think(?!\w)")
_TOOL_RESPONSE = re.compile(r"<tool_response>.*</tool_response>", re.DOTALL)  # Qwen3's template: no question


def spoken(mode: Mode) -> str:
    """`non-thinking`: a mode in a sentence."""
    return mode.replace("_", "-")


def with_flag(messages: list[dict[str, Any]], mode: Mode) -> list[dict[str, Any]]:
    """The same messages with the mode's flag at the end of the last user turn."""
    last_user = max(index for index, message in enumerate(messages) if message["role"] == "user")
    return [
        {**message, "content": f"{message['content']} {FLAGS[mode]}"} if index == last_user else message
        for index, message in enumerate(messages)
    ]


def with_flags(
    messages: list[dict[str, Any]], system: Mode | None, queries: Sequence[Mode | None]
) -> list[dict[str, Any]]:
    """The same messages with a flag in the system turn, which is made where there is none, and one for each query.

    queries: a mode, or None for no flag, for each user turn that asks something, in their order.
    """
    asked = dict(zip(query_turns(messages), queries, strict=True))
    flags = {place: mode for place, mode in asked.items() if mode is not None}
    opens = bool(messages) and messages[0]["role"] == "system"
    if system is not None and opens:
        flags[0] = system
    flagged = [
        {**message, "content": " ".join(filter(None, (message["content"], FLAGS[flags[place]])))}
        if place in flags
        else message
        for place, message in enumerate(messages)
    ]
    return flagged if system is None or opens else [{"role": "system", "content": FLAGS[system]}, *flagged]


def query_turns(messages: Sequence[dict[str, Any]]) -> list[int]:
    """The places of the user turns that ask something; a tool's response in a user turn asks nothing."""
    return [
        place
        for place, message in enumerate(messages)
        if message["role"] == "user" and not _TOOL_RESPONSE.fullmatch(str(message.get("content")))
    ]


def deciding_flag(messages: Sequence[dict[str, Any]]) -> tuple[int, Mode] | None:
    """The last flag in user and system turns: the place of its message, and what it asks for. None without a flag."""
    found = [
        (place, flag)
        for place, message in enumerate(messages)
        if message["role"] in ("user", "system") and isinstance(message.get("content"), str)
        for flag in _FLAG.findall(message["content"])
    ]
    return None if not found else (found[-1][0], "non_thinking" if found[-1][1] else "thinking")


def flagged_mode(messages: list[dict[str, Any]]) -> Mode | None:
    """The mode that the last flag in user and system turns asks for, or None where there is no flag."""
    found = deciding_flag(messages)
    return None if found is None else found[1]
