"""A rollout in the shape of OpenAI's Responses API, which NeMo Gym's servers read: input items, and a response.

Thinking is an item `reasoning`, a call an item `function_call`, its result a `function_call_output`; anything else is a
message (OpenAI, Responses API reference; nemo_gym/openai_utils.py of NeMo Gym 0.7). Neighbour: verifier.py.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rewards.contract import Rollout, split_thinking

Item = dict[str, Any]


def request_params(rollout: Rollout, tools: Any) -> Item:
    """`responses_create_params`: what the policy was asked, and the tools that it was offered."""
    prompt = rollout.prompt
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return {"input": _items(messages, "input"), "tools": _tools(tools)}


def response(rollout: Rollout, tools: Any, number: int) -> Item:
    """`response`: everything after the prompt, the policy's turns and what was said between them.

    number: which rollout of its batch this is; ids that are told apart are part of the shape, and mean nothing.
    """
    messages = rollout.messages or ({"role": "assistant", "content": rollout.completion},)
    return {
        "id": f"resp_{number}",
        "created_at": 0,
        "model": "policy",
        "object": "response",
        "output": _items(messages, f"{number}"),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": _tools(tools),
    }


def _items(messages: Sequence[Mapping[str, Any]], prefix: str) -> list[Item]:
    """The items of messages. A result belongs to the first call of the turn before it that has none yet."""
    found: list[Item] = []
    waiting: list[str] = []
    for place, message in enumerate(messages):
        name = f"{prefix}_{place}"
        if message.get("role") == "tool":
            call = waiting.pop(0) if waiting else f"call_{name}"
            output = str(message.get("content") or "")
            done = {"id": f"out_{name}", "status": "completed"}
            found.append({"type": "function_call_output", "call_id": call, "output": output, **done})
        elif message.get("role") == "assistant":
            made = list(_assistant(message, name))
            waiting = [one["call_id"] for one in made if one["type"] == "function_call"]
            found += made
        else:
            role = str(message.get("role") or "user")
            found.append({"type": "message", "role": role, "content": str(message.get("content") or "")})
    return found


def _assistant(message: Mapping[str, Any], name: str) -> Iterable[Item]:
    """The items of one turn of the policy: its thinking, its text, its calls."""
    thinking, text = split_thinking(str(message.get("content") or ""))
    thinking = str(message.get("reasoning_content") or thinking)
    calls = message.get("tool_calls") or ()
    if thinking:
        summary = [{"type": "summary_text", "text": thinking}]
        yield {"type": "reasoning", "id": f"rs_{name}", "summary": summary}
    if text or not calls:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        yield {"type": "message", "role": "assistant", "id": f"msg_{name}", "status": "completed", "content": content}
    for place, call in enumerate(calls):
        function = call.get("function", call)
        arguments = function.get("arguments") or {}
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        number = f"call_{name}_{place}"
        asked = {"name": str(function.get("name")), "arguments": written}
        yield {"type": "function_call", "call_id": number, "id": f"fc_{name}_{place}", "status": "completed", **asked}


def _tools(given: Any) -> list[Item]:
    """Function schemas, with or without the wrapper that chat templates have, in the flat form."""
    tools = given if isinstance(given, (list, tuple)) else []
    functions = [one.get("function", one) for one in tools if isinstance(one, Mapping)]
    return [
        {
            "type": "function",
            "name": str(one.get("name")),
            "description": str(one.get("description") or ""),
            "parameters": one.get("parameters") or {"type": "object", "properties": {}},
            "strict": bool(one.get("strict", False)),
        }
        for one in functions
    ]
