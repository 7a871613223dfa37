"""The typed rows that flow from data to stages: Conversation, Problem, Preference, Stepwise.

A row is frozen data; what is done with it lives elsewhere (data/chat/template.py turns it into tokens, training/ trains
on it). Messages and tools are in the form that chat templates read: `{"role", "content", "reasoning_content",
"tool_calls"}` and OpenAI's function schemas. Stored as JSON lines, one object per row, in artifacts and samples.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError, DataError
from alignment.core.files import HALF_CHARACTERS
from alignment.core.vocabulary import Mode
from rewards.contract import fenced_program

Message = dict[str, Any]  # one turn of a chat, as JSON
ToolSchema = dict[str, Any]  # one function that may be called, with the JSON schema of its arguments


def user_turn(text: str) -> Message:
    """A user's message."""
    return {"role": "user", "content": text}


@dataclass(frozen=True)
class Problem:
    """A conversation that waits for an answer which a verifier can check.

    It is checked against `answer`, or, where that is empty, by its `columns`. The messages end with what is asked: a user
    turn, or a tool's result. Before it there may be a system turn and earlier exchanges.
    """

    id: str
    messages: list[Message]
    answer: str
    trace: str | None = None  # worked steps that lead to the answer, where the source has them
    family: str = ""  # which generator or data set it is from; reports group by it
    columns: dict[str, Any] = field(default_factory=dict)  # what verifiers other than math_answer read
    tools: list[ToolSchema] = field(default_factory=list)  # what may be called while answering
    demonstration: list[Message] = field(default_factory=list)  # turns that solve it, with calls and their results

    @property
    def question(self) -> str:
        """The text of the last user turn; empty where there is none."""
        place = self._last_user
        return "" if place is None else str(self.messages[place].get("content") or "")

    @property
    def text(self) -> str:
        """What makes this problem another than others: every turn but the system's. Of one turn, the question."""
        return "\n".join(str(turn.get("content") or "") for turn in self.messages if turn["role"] != "system")

    def with_question(self, question: str) -> "Problem":
        """The same problem with another text in its last user turn."""
        place = self._last_user
        turns = [{**turn, "content": question} if index == place else turn for index, turn in enumerate(self.messages)]
        return replace(self, messages=turns if place is not None else [*turns, user_turn(question)])

    @property
    def _last_user(self) -> int | None:
        return max((index for index, turn in enumerate(self.messages) if turn["role"] == "user"), default=None)

    @property
    def right(self) -> str:
        """What to imitate: the answer in a box, its own where it has one, or a program that passes the tests; empty where there is neither."""
        if self.answer:
            return self.answer if "\\boxed{" in self.answer else f"\\boxed{{{self.answer}}}"
        return fenced_program(str(self.columns["solution"])) if self.columns.get("solution") else ""


@dataclass(frozen=True)
class Conversation:
    """Chat turns to imitate. `mode` says whether the last answer thinks; its thinking is in `reasoning_content`."""

    id: str
    messages: list[Message]
    mode: Mode
    family: str = ""
    tools: list[ToolSchema] = field(default_factory=list)


@dataclass(frozen=True)
class Preference:
    """One prompt with a better and a worse answer, both in the same mode."""

    id: str
    prompt: list[Message]
    chosen: Message
    rejected: Message
    mode: Mode
    family: str = ""
    tools: list[ToolSchema] = field(default_factory=list)
    margin: float | None = None  # how far apart the two rewards have to be; None where the source does not say


@dataclass(frozen=True)
class Stepwise:
    """One solution in steps, each with a label: what a process reward model learns from, and is measured on.

    labels: 1 for a right step, 0 for a wrong one, between them for soft labels; None where nothing is known, as after the
    first wrong step. There is one for each step.
    """

    id: str
    prompt: list[Message]
    steps: list[str]
    labels: list[float | None]
    answer: str = ""  # the reference answer, where it is known
    outcome: float | None = None  # the score of the final answer, where it was judged
    family: str = ""
    rationale: str = ""  # why a judge named its first wrong step
    thinking_steps: int = 0  # how many of the steps, the first ones, stand in a think block
    states: list[str | None] = field(
        default_factory=list
    )  # of a program: the values of its names after each step, as text

    def __post_init__(self) -> None:
        if len(self.steps) != len(self.labels):
            raise ValueError(f"{len(self.steps)} steps and {len(self.labels)} labels; there has to be one for each")
        if self.states and len(self.states) != len(self.steps):
            raise ValueError(
                f"{len(self.steps)} steps and {len(self.states)} states; there has to be one for each, or none"
            )

    @property
    def first_error(self) -> int | None:
        """The index of the first step whose label is below 0.5; None if no label is."""
        return next((place for place, one in enumerate(self.labels) if one is not None and one < WRONG_BELOW), None)

    def until_first_error(self) -> "Stepwise":
        """The same row without the labels after its first wrong step: what follows an error has no label of its own."""
        first = self.first_error
        if first is None:
            return self
        return replace(self, labels=[*self.labels[: first + 1], *[None] * (len(self.labels) - first - 1)])


WRONG_BELOW = 0.5  # a label under it is that of a wrong step

Row = Problem | Conversation | Preference | Stepwise
ROW_TYPES: dict[str, type[Row]] = {
    "problem": Problem, "conversation": Conversation, "preference": Preference, "stepwise": Stepwise,
}  # fmt: skip


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as JSON lines; returns how many. Raises ArtifactError if the disk is full or read-only."""
    count = 0
    try:
        with path.open("w", encoding="utf-8", errors=HALF_CHARACTERS) as file:
            for row in rows:
                file.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
                count += 1
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    return count


def read_rows(path: Path, kind: str) -> Iterator[Row]:
    """Read rows of one type from JSON lines. Raises DataError with the line number of a row that does not fit."""
    row_type = ROW_TYPES[kind]
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield row_type(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}:{number}: this line is not a {kind} row ({error})") from error
