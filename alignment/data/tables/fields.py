"""What in a public table's row is what: where it keeps its question or messages, answer, tools, chat or tests.

Neighbours: data/sources/named.py (which table, and where it comes from), data/rows.py (what a row becomes).
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from alignment.core.errors import DataError
from alignment.core.vocabulary import Mode
from alignment.data.rows import Message, Preference, Problem, ToolSchema
from alignment.data.tables.images import refuse_images
from alignment.data.tables.margins import MARGIN, margin_of
from alignment.data.tables.pairs import pair_of
from alignment.data.tables.shapes import (
    BESIDE,
    LOOKED_AT,
    SYSTEM,
    asked,
    chat_of,
    opened,
    text_of,
    tools_of,
    turns_of,
)
from rewards.contract import THINKING_KEYS
from rewards.kinds.python_tests.rows import FORMS

# Fields that chats and pairs do not have.
_OF_PROBLEMS = (
    "question",
    "answer",
    "answer_after",
    "trace",
    "trace_before",
    "trace_without",
    "tests",
    "solution",
    "columns",
)
SHOWN = "\nFor example, this has to hold:\n"


class Fields(BaseModel):
    """Where a table's row keeps what a Problem or Conversation needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: str | None = None
    prompt: str | None = None  # a list of messages that ask, in place of a question: system, user and earlier turns
    system: str | None = None  # a text that opens the conversation
    tools: str | None = None  # function schemas, as a list or as its JSON text
    answer: str | None = None
    answer_after: str | None = None  # the answer is what follows this mark in its field
    trace: str | None = None
    trace_before: str | None = None  # the worked solution is what stands before this mark
    trace_without: str | None = None  # a pattern that is cut out of it, such as a calculator's annotations
    messages: str | None = None
    completion: str | None = None  # the answer to `prompt`, where a table keeps chats as two fields
    chosen: str | None = None  # the better and the worse answer to `prompt`: the table holds pairs
    rejected: str | None = None
    margin: str | None = None  # of a pair; a column `margin` is read without being named
    steps: bool = False  # the table holds solutions with step labels, in one of the forms of step_forms.py
    tests: dict[str, str] | None = None  # of python_tests: its `form`, and for each field of that form the row's own
    shown_asserts: int = 0  # so many are shown with the question, where only they say what the function is called
    solution: str | None = None  # a program that passes the tests, by which they are tried before anything is trained
    kept: list[str] = []  # fields that rewards of one's own may read, None where a row lacks them
    columns: list[str] = []  # further fields that verifiers read; with these or tests alone, a problem has no answer

    @model_validator(mode="after")
    def _pairs_have_two_answers(self) -> "Fields":
        if (self.chosen is None) != (self.rejected is None):
            raise ValueError("a pair needs both `chosen` and `rejected`; write the missing one")
        if self.margin is not None and self.chosen is None:
            raise ValueError("`margin` is that of a pair, and `chosen` is missing; write its field")
        if self.completion is not None and self.prompt is None:
            raise ValueError("`completion` answers a `prompt`, which is missing; write its field")
        return self

    @model_validator(mode="after")
    def _one_shape(self) -> "Fields":
        shapes = [name for name in ("messages", "completion", "chosen") if getattr(self, name) is not None]
        if len(shapes) > 1:
            raise ValueError(f"`{shapes[0]}` and `{shapes[1]}` are fields of two shapes; keep those of one")
        unread = [name for name in _OF_PROBLEMS if shapes and getattr(self, name)]
        unread += ["prompt"] if shapes == ["messages"] and self.prompt is not None else []
        if unread:
            raise ValueError(f"`{unread[0]}` is not read beside `{shapes[0]}`; leave it out")
        return self

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
    def holds_chats(self) -> bool:
        """Whether a row is a conversation to imitate, and no problem or pair."""
        return self.messages is not None or self.completion is not None

    @property
    def named(self) -> set[str]:
        """The fields of a row that are read."""
        single = (self.question, self.prompt, self.system, self.tools, self.answer, self.trace, self.messages,
                  self.completion, self.chosen, self.rejected, self.margin, self.solution)  # fmt: skip
        tests = [field for name, field in (self.tests or {}).items() if name != "form"]
        return {name for name in (*single, *self.columns, *tests) if name is not None}

    def refuse_absent(self, where: str, rows: Iterable[Any]) -> None:
        """Raise DataError for a field that none of a table's first rows has: a misspelt `system` would change every row."""
        seen = [row for row in itertools.islice(rows, LOOKED_AT) if isinstance(row, Mapping)]
        had = list(dict.fromkeys(str(name) for row in seen for name in row))
        absent = sorted(self.named - set(had))
        if seen and absent:
            raise DataError(f"{where}: `fields` names {absent[0]!r}, which no row has; they have {', '.join(had)}")

    @property
    def read(self) -> set[str]:
        """The fields of a row that are read, with those that chats and pairs may have beside them."""
        if not self.holds_chats and self.chosen is None:
            return self.named
        beside = BESIDE - set(SYSTEM) if self.system is not None else BESIDE
        beside |= {MARGIN} if self.chosen is not None and self.margin is None else set()
        return self.named | beside | (set(THINKING_KEYS) if self.completion is not None else set())

    @property
    def given_columns(self) -> set[str]:
        """The columns that a row has for verifiers."""
        answered = self.answer is not None or not (self.columns or self.tests)
        given = {"tools": self.tools, "tests": self.tests, "solution": self.solution, "answer": answered}
        return {*self.columns, *self.kept, *(name for name, value in given.items() if value)}


def read_problem(source: str, fields: Fields, index: int, row: dict[str, Any]) -> Problem:
    """A row as a problem. Raises DataError for a field that it lacks or that is no text."""
    shown = ""
    try:
        messages = _asking_messages(fields, row)
        refuse_images(row, messages)
        answer = text_of(row[name := fields.answer or "answer"], name) if "answer" in fields.given_columns else ""
        given = row[fields.trace] if fields.trace else None
        trace = text_of(given, fields.trace or "") if given not in (None, "") and given == given else None
        columns = {name: row.get(name) for name in fields.kept} | {name: row[name] for name in fields.columns}
        if fields.tests is not None:
            tests = {name: field if name == "form" else row[field] for name, field in fields.tests.items()}
            columns["tests"] = tests
            if fields.shown_asserts:
                shown = SHOWN + "\n".join(tests["asserts"][: fields.shown_asserts])
        if fields.solution:
            columns["solution"] = row[fields.solution]
    except KeyError as error:
        raise DataError(f"no field {error}; it has {', '.join(map(str, row))}") from error
    except TypeError as error:
        raise DataError(f"a row is an object with fields, and this is a {type(row).__name__}") from error
    if fields.answer_after:
        answer = text_of(answer.rsplit(fields.answer_after, 1)[-1].strip(), f"answer after {fields.answer_after}")
    if trace is not None and fields.trace_before:
        trace = trace.split(fields.trace_before, 1)[0].strip()
    if trace is not None and fields.trace_without:
        trace = re.sub(fields.trace_without, "", trace)
    problem = Problem(str(index), messages, answer, trace, source, columns)
    if shown:
        problem = problem.with_question(problem.question + shown)
    return replace(problem, tools=tools_of(row, fields.tools) if fields.tools else [])


def lies_within(within: Mapping[str, tuple[float, float]], row: Any) -> bool:
    """Whether the numbers of a row lie in closed intervals. Raises DataError for a row without one of them."""
    try:
        return all(lowest <= float(row[name]) <= highest for name, (lowest, highest) in within.items())
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"`within` needs a number in {', '.join(within)}, and the row has none ({error}); fix the row, or name another "
            "field in `within`"
        ) from error


def read_messages(fields: Fields, row: Any) -> list[Message]:
    """A row's chat, its thinking where every template finds it. Raises DataError where there is none."""
    messages = _chat(fields, row)
    refuse_images(row, messages)
    return messages


def _chat(fields: Fields, row: Any) -> list[Message]:
    row = _with_system(fields, row)
    if fields.completion is None:
        return chat_of(row, fields.messages or "messages")
    beside = {name: row[name] for name in (*SYSTEM, *THINKING_KEYS) if name in row} if isinstance(row, dict) else {}
    renamed = _renamed(fields, row, ("prompt", "completion"))
    return chat_of({**beside, **renamed} if isinstance(renamed, dict) else renamed)


def read_row_tools(fields: Fields, row: Any) -> list[ToolSchema]:
    """The tools of a chat or pair; none where it has no field for them. Raises DataError for anything else."""
    return tools_of(row, fields.tools or "tools")


def read_pair(source: str, fields: Fields, index: int, row: Any) -> Preference:
    """A row as a pair of answers, both in the mode of the better one. Raises DataError for what is none."""
    names = ("prompt", "chosen", "rejected")
    row = _with_system(fields, row)
    prompt, chosen, rejected = pair_of({**row, **_renamed(fields, row, names)} if isinstance(row, dict) else row)
    refuse_images(row, prompt)
    margin = margin_of(row, fields.margin or MARGIN)
    thinks, other = (bool(answer.get("reasoning_content")) for answer in (chosen, rejected))
    if thinks != other:
        raise DataError("one of `chosen` and `rejected` thinks and the other does not, so they are in different modes")
    tools = read_row_tools(fields, row)
    mode: Mode = "thinking" if thinks else "non_thinking"
    return Preference(str(index), prompt, chosen, rejected, mode, source, tools, margin)


def _renamed(fields: Fields, row: Any, names: tuple[str, ...]) -> Any:
    """The named fields of a row under the names that shapes have. Raises DataError for one that it lacks."""
    if not isinstance(row, dict):
        return row
    own = {name: getattr(fields, name) or name for name in names}
    missing = next((field for name, field in own.items() if field not in row and field != name), None)
    if missing is not None:
        raise DataError(f"no field {missing!r}; it has {', '.join(map(str, row))}")
    return {name: row[field] for name, field in own.items() if field in row}


def _with_system(fields: Fields, row: Any) -> Any:
    """A row of chats or pairs with the text that `system` names where shapes have it."""
    if fields.system is None or not isinstance(row, dict):
        return row
    return {**{name: value for name, value in row.items() if name not in SYSTEM}, "system": row.get(fields.system)}


def _asking_messages(fields: Fields, row: dict[str, Any]) -> list[Message]:
    """The messages of a row that ask; a last answer, where a table keeps whole chats, is left out of them."""
    name = fields.prompt or fields.question or "question"
    messages = turns_of(row[name], name) if fields.prompt else asked(row[name], name)
    if fields.system:
        messages = opened(row, messages, SYSTEM if fields.system == "system" else (fields.system,))
    while messages and messages[-1].get("role") == "assistant":
        messages.pop()
    if not any(message.get("role") == "user" for message in messages):
        raise DataError(f"`{name}` holds no user turn, so nothing is asked")
    for message in messages:
        if not message.get("tool_calls"):
            text_of(message.get("content"), f"{name}.content")
    return messages
