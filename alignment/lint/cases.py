"""The rows that the linter inspects, from a stage's mixture or from a file of conversations.

A file is read as stages read it (data/tables/files.py, data/tables/shapes.py). Its contents are untrusted: a row that
is not a conversation, pair or problem becomes a finding and is not inspected further.
"""

import itertools
import random
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alignment.core.errors import DataError
from alignment.core.vocabulary import MODES, Mode
from alignment.data.rows import Conversation, Preference
from alignment.data.sources.named import fields_of
from alignment.data.tables.fields import read_pair, read_problem
from alignment.data.tables.files import FileRow, read_table
from alignment.data.tables.shapes import chat_of, recognise, tools_of
from alignment.lint.findings import Finding, shown
from rewards.contract import THINK_CLOSE, split_thinking

ROLES = ("system", "user", "assistant", "tool")
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
    fault = _shape_fault(case.messages)
    if fault is not None:
        yield _not_a_conversation(case.number, fault)


def sides(pair: Preference) -> list[Conversation]:
    """Both answers of a pair as conversations."""
    return [
        Conversation(f"{pair.id} {side}", [*pair.prompt, answer], pair.mode, pair.family, pair.tools)
        for side, answer in (("chosen", pair.chosen), ("rejected", pair.rejected))
    ]


def read_cases(path: Path, count: int) -> tuple[list[Case], list[Finding]]:
    """The first `count` rows of a file in any format and shape that stages read, and a finding for each malformed one.

    Raises DataError if the file cannot be read or is empty.
    """
    cases: list[Case] = []
    findings: list[Finding] = []
    for row in itertools.islice(read_table(path), count):
        try:
            if row.fault:
                raise DataError(row.fault)
            found = list(_cases_of(row))
        except DataError as error:
            findings.append(_not_a_conversation(row.number, str(error)))
            continue
        fault = next((fault for case in found if (fault := _shape_fault(case.messages))), None)
        if fault is None:
            cases += found
        else:
            findings.append(_not_a_conversation(row.number, fault))
    if not cases and not findings:
        raise DataError(f'{path}: holds no rows; write one JSON object per line: {{"messages": [...]}}')
    return cases, findings


def _cases_of(row: FileRow) -> Iterator[Case]:
    """A row as what it is recognised as: a chat, both answers of a pair, or the prompt of a problem."""
    shape, name = recognise(row.value), row.value.get("id") if isinstance(row.value, dict) else None
    identity = name if isinstance(name, str) else str(row.number)
    if shape is not None and shape.gives == "nothing":
        raise DataError(f"holds {shape.name}: {shape.refusal}")
    if shape is not None and shape.gives == "pairs":
        pair = read_pair("file", fields_of(shape), row.index, row.value)
        yield from (Case(row.number, chat) for chat in sides(replace(pair, id=identity)))
    elif shape is not None and shape.gives == "problems":
        problem = read_problem("file", fields_of(shape), row.index, row.value)
        yield Case(
            row.number, Conversation(identity, problem.messages, "thinking", tools=problem.tools), is_prompt=True
        )
    else:
        messages, mode = chat_of(row.value), row.value.get("mode")
        shown = mode if mode in MODES else _shown_mode(messages)
        yield Case(row.number, Conversation(identity, messages, shown, tools=tools_of(row.value)))


def _shown_mode(messages: list[dict[str, Any]]) -> Mode:
    """The mode of a row without a `mode`, from whether its last answer thinks."""
    answers = [index for index, message in enumerate(messages) if message.get("role") == "assistant"]
    return "thinking" if answers and split_turn(messages[answers[-1]])[0].strip() else "non_thinking"


def _shape_fault(messages: Any) -> str | None:
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


def _not_a_conversation(number: int, fault: str) -> Finding:
    return Finding(
        "not_a_conversation",
        "error",
        number,
        fault,
        f'write {{"messages": [{{"role": …, "content": …}}]}} with the roles {", ".join(ROLES)}',
    )
