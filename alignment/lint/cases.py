"""The rows that the linter inspects, from a stage's mixture or from a file of conversations.

A file holds one JSON object per line: `{"messages": [...]}`, or ShareGPT's `{"conversations": [{"from", "value"}]}`.
Its contents are untrusted: a line that is not a conversation becomes a finding and is not inspected further.
"""

import json
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.core.errors import DataError
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Conversation
from alignment.lint.findings import Finding, shown
from rewards.contract import THINK_CLOSE, split_thinking
from rewards.kinds.tool_call.schema import read_json, read_tools

ROLES = ("system", "user", "assistant", "tool")
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "function_call": "assistant", "observation": "tool"}
SAMPLED_ROWS = 64


@dataclass(frozen=True)
class Case:
    """One row to inspect. is_prompt: it is the prompt of a rollout, so no token of it carries loss."""

    number: int  # line in a file, or position in a mixture, from 1
    conversation: Conversation
    is_prompt: bool = False
    from_policy: bool = False  # an earlier sample stage made it, and its rewards accepted it

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of the conversation."""
        return self.conversation.messages

    @property
    def has_tools(self) -> bool:
        """Whether the row declares functions beside its messages."""
        return bool(self.conversation.tools)


def split_turn(message: dict[str, Any]) -> tuple[str, str]:
    """(thinking, answer) of an assistant turn. An unclosed block counts as answer, as in templates."""
    content = message.get("content")
    content = content if isinstance(content, str) else ""
    if isinstance(message.get("reasoning_content"), str):
        return message["reasoning_content"], content
    return split_thinking(content) if THINK_CLOSE in content else ("", content)


def assistant_turns(messages: Sequence[dict[str, Any]]) -> list[int]:
    """Indices of the assistant turns."""
    return [index for index, message in enumerate(messages) if message["role"] == "assistant"]


def last_query(messages: Sequence[dict[str, Any]]) -> int:
    """Index of the last user turn that is a question and not a tool response; the last message if there is none."""
    queries = [
        index
        for index, message in enumerate(messages)
        if message["role"] == "user"
        and isinstance(message.get("content"), str)
        and not (message["content"].startswith("<tool_response>") and message["content"].endswith("</tool_response>"))
    ]
    return queries[-1] if queries else len(messages) - 1


def sampled(
    rows: Sequence[Conversation], count: int, seed: int, policy_ids: Collection[str] = frozenset()
) -> list[Case]:
    """A random sample of a stage's rows, in their order. policy_ids: the rows that a sample stage made."""
    chosen = sorted(random.Random(seed).sample(range(len(rows)), min(count, len(rows))))
    return [Case(index + 1, rows[index], from_policy=rows[index].id in policy_ids) for index in chosen]


def malformed(case: Case) -> Iterator[Finding]:
    """A row that is not a list of messages with known roles; other faults are looked for only in well-formed rows."""
    problem = _shape_problem(case.messages)
    if problem is not None:
        yield _not_a_conversation(case.number, problem)


def read_cases(path: Path, count: int) -> tuple[list[Case], list[Finding]]:
    """The first `count` rows of a JSON-lines file, and a finding for each malformed line.

    Raises DataError if the file cannot be read or is empty.
    """
    cases: list[Case] = []
    findings: list[Finding] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                if len(cases) + len(findings) >= count:
                    break
                case, problem = _case(number, line)
                if case is not None:
                    cases.append(case)
                else:
                    findings.append(_not_a_conversation(number, problem))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from error
    if not cases and not findings:
        raise DataError(f'{path}: holds no rows; write one JSON object per line: {{"messages": [...]}}')
    return cases, findings


def _case(number: int, line: str) -> tuple[Case | None, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return None, f"this line is not JSON ({error})"
    if not isinstance(row, dict):
        return None, f"this line holds a {type(row).__name__} where a JSON object is needed"
    messages = row["messages"] if "messages" in row else _from_sharegpt(row)
    tools = row.get("tools") or []
    problem = _shape_problem(messages)
    if problem is None and tools and read_tools(tools) is None:
        problem = "has `tools` that are no list of named functions"
    if problem is not None:
        return None, problem
    name, mode = row.get("id"), row.get("mode")
    conversation = Conversation(
        id=name if isinstance(name, str) else str(number),
        messages=messages,
        mode=mode if mode in MODES else _shown_mode(messages),
        tools=list(read_json(tools)),
    )
    return Case(number, conversation), ""


def _from_sharegpt(row: dict[str, Any]) -> Any:
    """Messages from ShareGPT's form; anything else is returned unchanged."""
    turns = row.get("conversations")
    if not isinstance(turns, list):
        return turns
    return [_sharegpt_turn(turn) if isinstance(turn, dict) and "from" in turn else turn for turn in turns]


def _sharegpt_turn(turn: dict[str, Any]) -> dict[str, Any]:
    sender, value = str(turn["from"]), turn.get("value")
    content = f"<tool_call>\n{value}\n</tool_call>" if sender == "function_call" else value
    return {"role": SHAREGPT_ROLES.get(sender, sender), "content": content}


def _shown_mode(messages: list[dict[str, Any]]) -> Mode:
    """The mode of a row without a `mode`, from whether its last answer thinks."""
    answers = assistant_turns(messages)
    return "thinking" if answers and split_turn(messages[answers[-1]])[0].strip() else "non_thinking"


def _shape_problem(messages: Any) -> str | None:
    if not isinstance(messages, list) or not messages:
        return "has no `messages`, or an empty list of them"
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            return f"message {index} is not an object with a `role`"
        if message["role"] not in ROLES:
            return f"message {index} has the role {shown(message['role'])}, which templates drop without an error"
        calls = message.get("tool_calls")
        if calls is not None and not (isinstance(calls, list) and all(_is_call(call) for call in calls)):
            return f"message {index} has `tool_calls` that are not a list of named functions"
    return None


def _is_call(call: Any) -> bool:
    function = call.get("function", call) if isinstance(call, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _not_a_conversation(number: int, problem: str) -> Finding:
    return Finding(
        "not_a_conversation",
        "error",
        number,
        problem,
        f'write {{"messages": [{{"role": …, "content": …}}]}} with the roles {", ".join(ROLES)}',
    )
