"""One turn of a chat as the forms in use write it, made into the one form that chat templates read.

OpenAI's content parts, tool calls and developer role, ShareGPT's `from` and `value`, thinking under the keys
`reasoning` and `thinking` (what vLLM and others write). What cannot be kept is refused, never dropped. Neighbours:
shapes.py (whole rows).
"""

from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Message
from rewards.contract import THINK_CLOSE, THINK_OPEN, THINKING_KEYS, split_thinking

SHAREGPT_ROLES = {
    "human": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
    "function_call": "assistant", "observation": "tool", "function_response": "tool",
}  # fmt: skip
ROLES = {"developer": "system", "function": "tool"}
# Keys by which trainers leave a turn out of the loss, with the values that leave it in.
LOSS_KEYS = {
    **dict.fromkeys(("weight", "loss_weight", "train", "training", "trainable", "loss", "loss_mask"), (1, None)),
    **dict.fromkeys(("mask", "masked"), (0, None)),
}
# Where others keep thinking. Which of it is text, and in what order, differs, so that it is not read.
OTHER_THINKING = (
    "reasoning_details", "reasoning_text", "thinking_blocks", "thinking_content", "thought", "thoughts", "think", "cot",
    "chain_of_thought", "analysis", "rationale",
)  # fmt: skip
READ_KEYS = frozenset(
    {
        "role",
        "content",
        "from",
        "value",
        "tool_calls",
        "tool_call_id",
        "name",
        "function_call",
        *THINKING_KEYS,
        *LOSS_KEYS,
    }
)


def turn(message: Message) -> Message:
    """A message in the form that templates read. Raises DataError for what could only be dropped."""
    found = _from_sharegpt(message) if "from" in message and "role" not in message else dict(message)
    role = found.get("role")
    found["role"] = ROLES.get(role, role) if isinstance(role, str) else role
    if found["role"] == "assistant":
        _refuse_what_is_lost(found)
    else:
        _refuse_what_answers_have(found)
    _with_tool_calls(found)
    if isinstance(found.get("content"), list):
        found["content"], thought = _joined(found["content"])
        if thought:
            found["thinking"] = "".join(filter(None, (found.get("thinking"), thought)))
    if found.get("content") is None and found.get("tool_calls"):
        found["content"] = ""
    return _thinking_apart(found)


def _refuse_what_is_lost(found: Message) -> None:
    """Raise DataError for an answer that is not to be trained on, or whose thinking stands where it is not read."""
    for key, trained in LOSS_KEYS.items():
        value = found.pop(key, None)
        if value not in trained:
            raise DataError(
                f"an answer with `{key}: {value}` would be trained on all the same; remove the row, or the key"
            )
    other = next((key for key in OTHER_THINKING if found.get(key)), None)
    if other is not None:
        raise DataError(
            f"an answer has `{other}`, which is not read as its thinking; write it as one text in `reasoning_content`, or "
            "remove the key"
        )


def _refuse_what_answers_have(found: Message) -> None:
    """Raise DataError for thinking or calls in a turn of another role, which templates drop."""
    for key in (*THINKING_KEYS, "tool_calls", "function_call"):
        if (value := found.get(key)) and value == value:
            raise DataError(
                f"a {found.get('role')} turn has `{key}`, which templates write in an assistant's turn alone; move it to the "
                "turn that it belongs to, or remove the key"
            )


def _from_sharegpt(message: Message) -> Message:
    sender, value = str(message["from"]), message.get("value")
    content = f"<tool_call>\n{value}\n</tool_call>" if sender == "function_call" else value
    others = {key: kept for key, kept in message.items() if key not in ("from", "value")}
    return {**others, "role": SHAREGPT_ROLES.get(sender, sender), "content": content}


def _with_tool_calls(found: Message) -> None:
    """OpenAI's older `function_call` as a list of tool calls; keys that hold nothing, as parquet writes them, are removed."""
    called = found.pop("function_call", None)
    if called and found.get("tool_calls"):
        raise DataError(
            "a turn has `function_call` beside `tool_calls`, and only one of them is read; keep one of them"
        )
    if called:
        found["tool_calls"] = [{"type": "function", "function": called}]
    if isinstance(found.get("tool_calls"), list):
        found["tool_calls"] = [_in_openai_form(one) for one in found["tool_calls"]]
    for key in ("tool_calls", "tool_call_id", "name"):
        if key in found and found[key] is None:
            del found[key]


def _in_openai_form(call: Any) -> Any:
    """A call `{name, arguments}` as servers hand it to templates, many of which look for its `function`."""
    if not isinstance(call, dict) or "function" in call or not isinstance(call.get("name"), str):
        return call
    beside = {key: kept for key, kept in call.items() if key not in ("name", "arguments")}
    return {**beside, "type": "function", "function": {key: call[key] for key in ("name", "arguments") if key in call}}


def _joined(parts: list[Any]) -> tuple[str, str]:
    """(text, thinking) of content parts. Raises DataError for a part that is neither."""
    text, thought = list[str](), list[str]()
    for part in parts:
        kind = part.get("type", "text") if isinstance(part, dict) else None
        value = part if isinstance(part, str) else part.get(kind) if isinstance(kind, str) else None
        if not isinstance(value, str) or kind not in (None, "text", "thinking", "reasoning"):
            raise DataError(f"its content has a part of type {kind!r}, and only text is trained on; remove the row")
        (thought if kind in ("thinking", "reasoning") else text).append(value)
    return "".join(text), "".join(thought)


def _thinking_apart(message: Message) -> Message:
    """A message with its thinking, inline or under another key, in `reasoning_content`, where every template finds it."""
    if message.get("role") != "assistant":
        return message
    given = {key: message[key] for key in THINKING_KEYS if message.get(key) not in (None, "")}
    texts = list(given.values())
    if any(not isinstance(text, str) for text in texts) or len(set(map(str, texts))) > 1:
        raise DataError(
            f"{' and '.join(given)} hold thinking that is not one text; write it as one string in `reasoning_content`"
        )
    rest = {key: value for key, value in message.items() if key not in THINKING_KEYS}
    content = message.get("content")
    if texts:
        return {**rest, "reasoning_content": texts[0]}
    if not isinstance(content, str) or not _opens_with_thinking(content):
        return rest if "reasoning_content" not in message else {**rest, "reasoning_content": ""}
    thinking, answer = split_thinking(content)
    return {**rest, "reasoning_content": thinking, "content": answer}


def _opens_with_thinking(content: str) -> bool:
    """Whether a turn is one think block and then an answer. Any other use of the tags stays, for the linter to find."""
    before, opened, _ = content.partition(THINK_OPEN)
    once = content.count(THINK_CLOSE) == 1 and content.count(THINK_OPEN) <= 1
    return once and (not opened or (not before.strip() and content.index(THINK_OPEN) < content.index(THINK_CLOSE)))
