"""The flags `/think` and `/no_think`: adding them to messages, and finding the one that sets the mode.

Qwen3's rule (arXiv 2505.09388, section 4.3): a flag may stand in any user or system turn, the last one wins, and
without a flag the model thinks. Neighbours: core/vocabulary.py (Mode), template.py (the template's switch).
"""

import re
from collections.abc import Sequence
from typing import Any

from alignment.core.vocabulary import Flag, Mode

FLAGS: dict[Mode, Flag] = {"thinking": "/think", "non_thinking": "/no_think"}
_FLAG = re.compile(r"(?<![\w/])/(no_)?think(?!\w)")
_TOOL_RESPONSE = re.compile(r"<tool_response>.*</tool_response>", re.DOTALL)  # not a query in Qwen3's template


def mode_words(mode: Mode) -> str:
    """A mode as it is written in a sentence: `non-thinking`."""
    return mode.replace("_", "-")


def with_flag(messages: list[dict[str, Any]], mode: Mode) -> list[dict[str, Any]]:
    """Copy messages with the mode's flag appended to the last user turn."""
    last_user = max(index for index, message in enumerate(messages) if message["role"] == "user")
    return [
        {**message, "content": f"{message['content']} {FLAGS[mode]}"} if index == last_user else message
        for index, message in enumerate(messages)
    ]


def with_flags(
    messages: list[dict[str, Any]], system: Mode | None, queries: Sequence[Mode | None]
) -> list[dict[str, Any]]:
    """Copy messages with flags in the system turn and in the queries.

    Args:
        messages: a conversation; it is not changed.
        system: the mode of the system turn's flag, or None. A missing system turn is added.
        queries: for each turn of `query_turns`, the mode of its flag, or None.
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
    """Indices of the user turns that are questions; a user turn that holds a tool response is not."""
    return [
        place
        for place, message in enumerate(messages)
        if message["role"] == "user" and not _TOOL_RESPONSE.fullmatch(str(message.get("content")))
    ]


def deciding_flag(messages: Sequence[dict[str, Any]]) -> tuple[int, Mode] | None:
    """The last flag in user and system turns, which sets the mode: (index of its message, mode), or None."""
    found = [
        (place, flag)
        for place, message in enumerate(messages)
        if message["role"] in ("user", "system") and isinstance(message.get("content"), str)
        for flag in _FLAG.findall(message["content"])
    ]
    return None if not found else (found[-1][0], "non_thinking" if found[-1][1] else "thinking")


def flagged_mode(messages: list[dict[str, Any]]) -> Mode | None:
    """The mode set by the last flag in user and system turns, or None without a flag."""
    found = deciding_flag(messages)
    return None if found is None else found[1]
