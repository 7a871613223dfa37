"""Chat messages for display: role, thinking, text, and tool calls.

Text stays as it was written and is escaped where it is rendered. Neighbours: samples.py (the page), report/lineage.py
(`alignment show`), commands/chat (the terminal).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alignment.core.typed_json import Json
from rewards.contract import split_thinking


@dataclass(frozen=True)
class ShownTurn:
    """One turn: its role, its thinking, and its text with the calls that it makes, one a line."""

    role: str
    thinking: str
    text: str


def shown_turns(messages: Sequence[Mapping[str, Json]]) -> tuple[ShownTurn, ...]:
    """Messages as turns to show."""
    return tuple(_shown(message) for message in messages)


def _shown(message: Mapping[str, Json]) -> ShownTurn:
    content, thinking = message.get("content"), message.get("reasoning_content")
    text = content if isinstance(content, str) else ""
    if not isinstance(thinking, str):
        thinking, text = split_thinking(text) if message.get("role") == "assistant" else ("", text)
    calls = message.get("tool_calls")
    lines = [*([text] if text else []), *(_call(one) for one in (calls if isinstance(calls, list | tuple) else ()))]
    return ShownTurn(str(message.get("role", "")), thinking, "\n".join(lines))


def _call(call: Json) -> str:
    function = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return f"calls {call}"
    return f"calls {function.get('name')} {json.dumps(function.get('arguments'), ensure_ascii=False)}"
