"""Faults of tool turns: parallel calls in separate turns, responses outside their tags, arguments encoded twice.

One function per fault. Neighbours: text_faults.py, turn_faults.py, loss_faults.py (what the template does to tool turns).
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

from alignment.lint.cases import Case
from alignment.lint.findings import Finding, Intent, shown

OPEN, CLOSE = "<tool_response>", "</tool_response>"


def has_calls(message: dict[str, Any]) -> bool:
    """Whether an assistant turn calls functions, in `tool_calls` or in its text."""
    content = message.get("content")
    return bool(message.get("tool_calls")) or (isinstance(content, str) and "<tool_call>" in content)


def calls_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions in a turn's `tool_calls`, each `{name, arguments}`."""
    return [call.get("function", call) for call in message.get("tool_calls") or []]


def tool_response_outside(case: Case, intent: Intent) -> Iterator[Finding]:
    """A tool response that is not wrapped in its tags exactly once: it counts as a question, or is wrapped twice."""
    for index, message in enumerate(case.messages):
        content = message.get("content")
        if not isinstance(content, str) or not (OPEN in content or CLOSE in content):
            continue
        if message["role"] == "tool":
            fault, advice = "already holds its tags, and the template adds them again", "remove the tags"
        elif message["role"] == "user" and not (content.startswith(OPEN) and content.endswith(CLOSE)):
            fault = "has text outside its tags, so it counts as a question and the turns before it lose their thinking"
            advice = f"give it the role tool, or begin with {OPEN} and end with {CLOSE}"
        else:
            continue
        yield Finding(
            "tool_response_outside", "error", case.number, f"the tool response in message {index} {fault}", advice
        )


def tool_response_without_call(case: Case, intent: Intent) -> Iterator[Finding]:
    """A tool turn that does not follow a call."""
    for index, message in enumerate(case.messages):
        if message["role"] != "tool" or (index and case.messages[index - 1]["role"] == "tool"):
            continue
        if not index or case.messages[index - 1]["role"] != "assistant" or not has_calls(case.messages[index - 1]):
            yield Finding(
                "tool_response_without_call",
                "error",
                case.number,
                f"message {index} is a tool response, and the turn before it has no call",
                "put the call into `tool_calls` of the assistant turn before it",
            )


def tool_results_astray(case: Case, intent: Intent) -> Iterator[Finding]:
    """Results that are not one for each call, in the calls' order: templates write no ids, so a result answers by its place."""
    for index, message in enumerate(case.messages):
        calls = message.get("tool_calls") or []
        results = list(itertools.takewhile(lambda one: one["role"] == "tool", case.messages[index + 1 :]))
        torn = index > 0 and case.messages[index - 1]["role"] == "assistant"  # reported as tool_calls_torn
        if not calls or not results or torn:
            continue
        called, answered = [call.get("id") for call in calls], [one.get("tool_call_id") for one in results]
        known = all(called) and all(answered)
        if len(calls) != len(results):
            fault = f"has {len(calls)} call{'s' * (len(calls) != 1)}, and {len(results)} results follow it"
        elif known and called != answered:
            fault = f"calls {', '.join(map(str, called))}, and the results are those of {', '.join(map(str, answered))}"
        else:
            continue
        yield Finding(
            "tool_results_astray",
            "error",
            case.number,
            f"message {index} {fault}",
            "write one tool turn for each call, in the order of the calls: templates write no ids",
        )


def undeclared_tool(case: Case, intent: Intent) -> Iterator[Finding]:
    """A call of a function that is not among the row's tools: the policy learns to call what it was not given."""
    declared = {str(tool.get("function", tool).get("name")) for tool in case.conversation.tools}
    for index, message in enumerate(case.messages):
        for call in calls_of(message) if declared else ():
            if call["name"] not in declared:
                yield Finding(
                    "undeclared_tool",
                    "warning",
                    case.number,
                    f"message {index} calls {shown(call['name'])}, and the row's tools are {', '.join(sorted(declared))}",
                    "declare it in `tools`, or remove the call",
                )


def tool_calls_torn(case: Case, intent: Intent) -> Iterator[Finding]:
    """Parallel calls in separate turns: the policy learns to end its turn after the first."""
    for index in range(1, len(case.messages)):
        before, message = case.messages[index - 1], case.messages[index]
        if before["role"] == message["role"] == "assistant" and has_calls(before):
            yield Finding(
                "tool_calls_torn",
                "error",
                case.number,
                f"messages {index - 1} and {index} are assistant turns, and the call of the first has no response",
                "put parallel calls into one turn's `tool_calls`, and the results after it",
            )


def tool_arguments_encoded_twice(case: Case, intent: Intent) -> Iterator[Finding]:
    """Arguments that are JSON within JSON, or not JSON: the policy learns the extra quotes and backslashes."""
    for index, message in enumerate(case.messages):
        for call in calls_of(message):
            fault = _arguments_fault(call.get("arguments"))
            if fault is not None:
                yield Finding(
                    "tool_arguments_encoded_twice",
                    "error",
                    case.number,
                    f"the arguments of {shown(call['name'])} in message {index} are {fault}",
                    'write an object, {"a": 1}, or its JSON text encoded once',
                )


def _arguments_fault(arguments: Any) -> str | None:
    if isinstance(arguments, dict):
        return None
    if not isinstance(arguments, str):
        return "missing" if arguments is None else f"a {type(arguments).__name__}"
    try:
        inner = json.loads(arguments)
    except (ValueError, RecursionError):
        return f"text that is not JSON: {shown(arguments)}"
    if isinstance(inner, str):
        return f"JSON encoded twice: {shown(arguments)}"
    return None if isinstance(inner, dict) else f"JSON of a {type(inner).__name__}"
