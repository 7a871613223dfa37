"""What in a public table's row is what: where it keeps its question or messages, answer, tools, chat or tests.

Neighbours: sources.py (which table, and where it comes from), rows.py (what a row becomes).
"""

import re
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from alignment.core.errors import DataError
from alignment.data.rows import Message, Problem, ToolSchema, user_turn
from rewards.contract import THINK_CLOSE, split_thinking
from rewards.kinds.python_tests.rows import FORMS
from rewards.kinds.tool_call.schema import read_json, read_tools

SHOWN = "\nFor example, this has to hold:\n"


class Fields(BaseModel):
    """Where a table's row keeps what a Problem or Conversation needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: str | None = None
    prompt: str | None = None  # a list of messages that ask, in place of a question: system, user and earlier turns
    tools: str | None = None  # function schemas, as a list or as its JSON text
    answer: str | None = None
    answer_after: str | None = None  # the answer is what follows this mark in its field
    trace: str | None = None
    trace_before: str | None = None  # the worked solution is what stands before this mark
    trace_without: str | None = None  # a pattern that is cut out of it, such as a calculator's annotations
    messages: str | None = None
    tests: dict[str, str] | None = None  # of python_tests: its `form`, and for each field of that form the row's own
    shown_asserts: int = 0  # so many are shown with the question, where only they say what the function is called
    solution: str | None = None  # a program that passes the tests, by which they are tried before anything is trained
    columns: list[str] = []  # further fields that verifiers read; with these or tests alone, a problem has no answer

    @model_validator(mode="after")
    def _tests_have_a_form(self) -> "Fields":
        if self.tests is None:
            if self.shown_asserts or self.solution:
                raise ValueError("`shown_asserts` and `solution` belong to `tests`, which is missing")
            return self
        form = self.tests.get("form", "")
        if form not in FORMS:
            raise ValueError(f"`tests` needs a `form`, one of {', '.join(FORMS)}; found {form!r}")
        unknown = sorted(set(self.tests) - {"form", *FORMS[form]})
        if unknown:
            raise ValueError(f"`tests` of form {form} have {', '.join(FORMS[form])}, not {', '.join(unknown)}")
        if self.shown_asserts and form != "asserts":
            raise ValueError(f"`shown_asserts` are those of form asserts, not of {form}")
        return self

    @property
    def given_columns(self) -> set[str]:
        """The columns that a row has for verifiers."""
        answered = self.answer is not None or not (self.columns or self.tests)
        given = {"tools": self.tools, "tests": self.tests, "solution": self.solution, "answer": answered}
        return {*self.columns, *(name for name, value in given.items() if value)}


def read_problem(source: str, fields: Fields, index: int, row: dict[str, Any]) -> Problem:
    """A row as a problem. Raises DataError for a field that it lacks."""
    shown = ""
    asks = _asking_messages(source, fields, index, row) if fields.prompt else []
    try:
        question = "" if asks else str(row[fields.question or "question"])
        answer = str(row[fields.answer or "answer"]) if "answer" in fields.given_columns else ""
        trace = str(row[fields.trace]) if fields.trace else None
        columns = {name: row[name] for name in fields.columns}
        if fields.tests is not None:
            tests = {name: field if name == "form" else row[field] for name, field in fields.tests.items()}
            columns["tests"] = tests
            if fields.shown_asserts:
                shown = SHOWN + "\n".join(tests["asserts"][: fields.shown_asserts])
        if fields.solution:
            columns["solution"] = row[fields.solution]
    except KeyError as error:
        raise DataError(f"source `{source}`, row {index}: no field {error}; it has {', '.join(row)}") from error
    if fields.answer_after:
        answer = answer.rsplit(fields.answer_after, 1)[-1].strip()
    if trace is not None and fields.trace_before:
        trace = trace.split(fields.trace_before, 1)[0].strip()
    if trace is not None and fields.trace_without:
        trace = re.sub(fields.trace_without, "", trace)
    problem = Problem(str(index), asks or [user_turn(question)], answer, trace, source, columns)
    if shown:
        problem = problem.with_question(problem.question + shown)
    return replace(problem, tools=read_tool_schemas(source, fields, index, row))


def read_messages(source: str, fields: Fields, index: int, row: Any) -> list[dict[str, Any]]:
    """A row's chat, its thinking where every template finds it. Raises DataError where there is none."""
    return [_thinking_apart(message) for message in _messages(source, fields.messages or "messages", index, row)]


def read_tool_schemas(source: str, fields: Fields, index: int, row: Any) -> list[ToolSchema]:
    """The tools of a row; none where the source names no field for them. Raises DataError for anything else."""
    if fields.tools is None:
        return []
    found = row.get(fields.tools) if isinstance(row, dict) else None
    if found in (None, "", []):
        return []
    if read_tools(found) is None:
        raise DataError(
            f"source `{source}`, row {index}: `{fields.tools}` is no list of tools; write "
            '[{"type": "function", "function": {"name": …, "parameters": {…}}}], or its JSON text'
        )
    return list(read_json(found))


def _asking_messages(source: str, fields: Fields, index: int, row: Any) -> list[Message]:
    """The messages of a row that ask; a last answer, where a table keeps whole chats, is left out of them."""
    name = fields.prompt or "prompt"
    messages = [_thinking_apart(message) for message in _messages(source, name, index, row)]
    while messages and messages[-1].get("role") == "assistant":
        messages.pop()
    if not any(message.get("role") == "user" for message in messages):
        raise DataError(f"source `{source}`, row {index}: `{name}` holds no user turn, so nothing is asked")
    return messages


def _messages(source: str, name: str, index: int, row: Any) -> list[Message]:
    messages = row.get(name) if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise DataError(
            f"source `{source}`, row {index}: `{name}` is no list of messages; "
            'write [{"role": "user", "content": …}, {"role": "assistant", "content": …}]'
        )
    return list(messages)


def _thinking_apart(message: Message) -> Message:
    """A message with an inline think block moved to `reasoning_content`, where every template finds it."""
    content = message.get("content")
    if message.get("role") != "assistant" or not isinstance(content, str) or THINK_CLOSE not in content:
        return message
    thinking, answer = split_thinking(content)
    return {**message, "reasoning_content": thinking, "content": answer}
