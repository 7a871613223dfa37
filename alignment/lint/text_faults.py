"""Faults in a row's text: content that is not text, misplaced tags, special tokens typed as text.

One function per fault. Neighbours: turn_faults.py (order and modes), tool_faults.py, linter.py (the table).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from alignment.lint.cases import Case
from alignment.lint.findings import Finding, Intent, shown
from rewards.contract import after_thinking

TAGS = ("<think>", "</think>")
_OTHER_THINK_TAG = re.compile(
    r"\s*(?!(?-i:<think>))(<\s*(think|thinking|thoughts?|reasoning|scratchpad)\s*>|\[think(ing)?\]|<\|\s*(begin_of_)?(think|thinking|thought)\s*\|>"
    r"|◁think▷|<seed:think>|<\|channel\|>\s*(analysis|thought)|<\|channel>\s*thought)",
    re.IGNORECASE,
)
_TAG_WITH_MORE = re.compile(r"<think\s[^<>]*>")  # `<think time="3">`, which no template reads as the tag
_SURROGATE = re.compile("[\ud800-\udfff]")


def content_not_text(case: Case, intent: Intent) -> Iterator[Finding]:
    """Content or thinking that is not a string: Qwen3's template renders nothing in its place."""
    for index, message in enumerate(case.messages):
        content, thinking = message.get("content"), message.get("reasoning_content")
        calls_alone = content is None and bool(message.get("tool_calls"))
        if not isinstance(content, str) and not calls_alone:
            yield Finding(
                "content_not_text",
                "error",
                case.number,
                f"the content of message {index} ({message['role']}) is {_kind(content)}, which templates render as nothing",
                "write its text as one string",
            )
        if thinking is not None and not isinstance(thinking, str):
            yield Finding(
                "content_not_text",
                "error",
                case.number,
                f"the reasoning_content of message {index} is {_kind(thinking)}, so its thinking is dropped",
                "write the thinking as one string, or remove the key",
            )


def empty_text(case: Case, intent: Intent) -> Iterator[Finding]:
    """A question or an answer of white space: the policy would learn to end its turn at once."""
    for index, message in enumerate(case.messages):
        content = message.get("content")
        if not isinstance(content, str) or content.strip() or message["role"] not in ("user", "assistant"):
            continue
        if message["role"] == "assistant" and message.get("tool_calls"):
            continue
        thought = message["role"] == "assistant" and bool(message.get("reasoning_content"))
        yield Finding(
            "empty_text",
            "error",
            case.number,
            f"message {index} ({message['role']}) {'thinks and then says nothing' if thought else 'is empty'}",
            "write its text, or remove the row",
        )


def other_think_tag(case: Case, intent: Intent) -> Iterator[Finding]:
    """An answer that begins with a think block in other tags: it would be trained as the text of an answer without thinking."""
    for index, content in _contents(case, "assistant"):
        found = _OTHER_THINK_TAG.match(content)
        if found and not case.messages[index].get("reasoning_content"):
            yield Finding(
                "other_think_tag",
                "error",
                case.number,
                f"message {index} begins with {found[0].strip()}, which is not read as thinking",
                "write <think>…</think>, or the thinking in `reasoning_content`",
            )


def half_character(case: Case, intent: Intent) -> Iterator[Finding]:
    """A lone surrogate, half of a character: no tokenizer can read it, so that the stage would end at this row."""
    for index, message in enumerate(case.messages):
        if any(isinstance(text, str) and not text.isascii() and _SURROGATE.search(text) for text in _texts(message)):
            yield Finding(
                "half_character",
                "error",
                case.number,
                f"message {index} ({message['role']}) holds half a character (a lone surrogate), which has no tokens",
                "write the whole character, or remove the row",
            )


def unclosed_think(case: Case, intent: Intent) -> Iterator[Finding]:
    """A think block that is opened and never closed, as in answers truncated at their token limit."""
    for index, content in _contents(case, "assistant"):
        if _is_unclosed(case.messages[index]):
            yield Finding(
                "unclosed_think",
                "error",
                case.number,
                f"message {index} opens a think block and never closes it: {shown(content[-40:])}",
                "remove the row, since its answer was truncated; or close the block with </think> before the answer",
            )


def think_tag_misplaced(case: Case, intent: Intent) -> Iterator[Finding]:
    """Think tags in the answer or in the thinking itself: the template drops text, or the policy learns a second block."""
    for index, content in _contents(case, "assistant"):
        message = case.messages[index]
        if _is_unclosed(message):
            continue
        fault = _misplaced(content, message.get("reasoning_content"))
        if fault is not None:
            yield Finding(
                "think_tag_misplaced",
                "error",
                case.number,
                f"message {index} {fault}",
                "keep one <think>…</think> at the start of the turn, or the thinking in `reasoning_content` without tags",
            )


def think_tag_in_prompt(case: Case, intent: Intent) -> Iterator[Finding]:
    """Think tags in a user, system or tool turn; the tokenizer reads them as special tokens."""
    for role in ("user", "system", "tool"):
        for index, content in _contents(case, role):
            found = [tag for tag in TAGS if tag in content]
            if found:
                yield Finding(
                    "think_tag_in_prompt",
                    "warning",
                    case.number,
                    f"message {index} ({role}) holds {' and '.join(found)}",
                    "set the mode with /think or /no_think; to write about the tag, spell it differently",
                )


def special_token_in_text(case: Case, intent: Intent) -> Iterator[Finding]:
    """Special tokens that separate turns, typed as text: they would forge a turn of any role."""
    for index, message in enumerate(case.messages):
        whole = "\n".join(text for text in _texts(message) if isinstance(text, str))
        heads = _heads(intent.markers)  # of hundreds of tokens, most texts hold not even a beginning
        found = [token for token in intent.markers if token in whole] if any(one in whole for one in heads) else []
        if found:
            yield Finding(
                "special_token_in_text",
                "error",
                case.number,
                f"message {index} ({message['role']}) spells out {', '.join(found)}, which ends or opens a turn",
                "remove the row, or write the token so that it stays text, such as <| im_end |>",
            )


@lru_cache(maxsize=8)
def _heads(tokens: tuple[str, ...]) -> frozenset[str]:
    """How tokens begin, by two characters."""
    return frozenset(token[:2] for token in tokens)


def _contents(case: Case, role: str) -> Iterator[tuple[int, str]]:
    for index, message in enumerate(case.messages):
        if message["role"] == role and isinstance(message.get("content"), str):
            yield index, message["content"]


def _texts(message: dict[str, Any]) -> Iterator[Any]:
    yield from (message.get("content"), message.get("reasoning_content"))
    for call in message.get("tool_calls") or []:
        yield str(call.get("function", call).get("arguments", ""))


def _is_unclosed(message: dict[str, Any]) -> bool:
    content = message["content"]
    return not isinstance(message.get("reasoning_content"), str) and "<think>" in after_thinking(content)


def _misplaced(content: str, thinking: Any) -> str | None:
    if isinstance(thinking, str):
        if any(tag in content for tag in TAGS):
            return f"has think tags in its answer beside its reasoning_content: {shown(content)}"
        inside = any(tag in thinking for tag in TAGS) or _TAG_WITH_MORE.search(thinking)
        return "has think tags inside its reasoning_content" if inside else None
    if content.count("</think>") > 1 or content.count("<think>") > 1:
        return "has more than one think block, and the text between them is lost"
    before = content.partition("<think>")[0] if "<think>" in content else ""
    return f"has text before its think block, which is lost: {shown(before)}" if before.strip() else None


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
