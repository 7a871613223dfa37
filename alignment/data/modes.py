"""Thinking and non-thinking: the soft flags that ask for a mode, and which of them counts.

Qwen3's rule: a flag may stand in any user or system turn, the last one wins, and without a flag the model thinks.
Neighbours: rows.py (Mode), render.py (the template's hard switch), rollout/thinking.py (budgets).
"""

import re
from typing import Any

from alignment.data.rows import Mode

FLAGS: dict[Mode, str] = {"thinking": "/think", "non_thinking": "/no_think"}
_FLAG = re.compile(r"(?<![\w/])/(no_)?think(?!\w)")


def with_flag(messages: list[dict[str, Any]], mode: Mode) -> list[dict[str, Any]]:
    """The same messages with the mode's flag at the end of the last user turn."""
    last_user = max(index for index, message in enumerate(messages) if message["role"] == "user")
    return [
        {**message, "content": f"{message['content']} {FLAGS[mode]}"} if index == last_user else message
        for index, message in enumerate(messages)
    ]


def flagged_mode(messages: list[dict[str, Any]]) -> Mode | None:
    """The mode that the last flag in user and system turns asks for, or None where there is no flag."""
    flags = [
        flag
        for message in messages
        if message["role"] in ("user", "system") and isinstance(message.get("content"), str)
        for flag in _FLAG.findall(message["content"])
    ]
    return None if not flags else ("non_thinking" if flags[-1] else "thinking")
