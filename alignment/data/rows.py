"""The typed rows that flow from data to stages: Conversation, Problem, Preference.

A row is frozen data; what is done with it lives elsewhere (template.py turns it into tokens, training/ trains on it).
Stored as JSON lines, one object per row, in artifacts and samples.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError, DataError
from alignment.core.files import HALF_CHARACTERS
from alignment.core.vocabulary import Mode
from rewards.gold import gold_program

# What verifiers may read that comes from the sampling and not from a problem.
SAMPLING_COLUMNS = frozenset(("mode", "budget", "stop_reason", "forced", "thinking_tokens"))


@dataclass(frozen=True)
class Problem:
    """A question whose answers a verifier can check: against `answer`, or, where that is empty, by its `columns`."""

    id: str
    question: str
    answer: str
    trace: str | None = None  # worked steps that lead to the answer, where the source has them
    family: str = ""  # which generator or data set it is from; reports group by it
    columns: dict[str, Any] = field(default_factory=dict)  # what verifiers other than math_answer read

    @property
    def right(self) -> str:
        """What to imitate: the answer in its box, or a program that passes the tests; empty where there is neither."""
        if self.answer:
            return f"\\boxed{{{self.answer}}}"
        return gold_program(self.columns) if self.columns.get("solution") else ""


@dataclass(frozen=True)
class Conversation:
    """Chat turns to imitate. `mode` says whether the last answer thinks; its thinking is in `reasoning_content`."""

    id: str
    messages: list[dict[str, Any]]
    mode: Mode
    family: str = ""


@dataclass(frozen=True)
class Preference:
    """One prompt with a better and a worse answer, both in the same mode."""

    id: str
    prompt: list[dict[str, Any]]
    chosen: dict[str, Any]
    rejected: dict[str, Any]
    mode: Mode
    family: str = ""


Row = Problem | Conversation | Preference
ROW_TYPES: dict[str, type[Row]] = {"problem": Problem, "conversation": Conversation, "preference": Preference}


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
