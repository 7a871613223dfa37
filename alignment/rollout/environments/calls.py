"""Parses a sampled turn into a message with thinking and tool calls, with the parser of the verifier `tool_call`.

Qwen3's form, as its template renders it: `<tool_call>\\n{"name": ..., "arguments": {...}}\\n</tool_call>`. The JSON is
parsed and nothing is ever evaluated. Neighbours: rewards/kinds/tool_call (the parser), tools.py (executes the calls).
"""

from alignment.data.rows import Message
from rewards.contract import split_thinking
from rewards.kinds.tool_call.verifier import CALL_OPEN, Call, made_calls

NO_CALL = 'this is no call; write {"name": ..., "arguments": {...}} between the tags'  # what a policy is told


def as_message(text: str) -> Message:
    """A turn's text as an assistant message.

    Its calls become `tool_calls`, and the text before them its content. If one call is malformed, all stay in the content
    as written.
    """
    thinking, answer = split_thinking(text)
    calls = made_calls(answer)
    message: Message = {"role": "assistant", "content": answer}
    if thinking:
        message["reasoning_content"] = thinking
    if calls and all(call.name is not None for call in calls):
        message["content"] = answer.partition(CALL_OPEN)[0].strip()
        message["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}} for call in calls
        ]
    return message


def calls_in(message: Message) -> list[Call]:
    """The calls of an assistant message, in order, from `tool_calls` or from its content."""
    listed = message.get("tool_calls")
    if not listed:
        return made_calls(str(message.get("content") or ""))
    functions = [call.get("function", call) for call in listed]
    return [Call(function["name"], function["arguments"]) for function in functions]


def shortened(result: str, most: int) -> str:
    """What a call gave as the policy is shown it: of at most so many characters, with a sign where more is cut."""
    return result if len(result) <= most else result[:most] + " …"
