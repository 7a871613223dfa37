"""Good data files: rows of one shape in one format, each with its truth, which is what the row says.

Nothing here asks the code under test. Neighbours: fuzzed_rows.py and fuzzed_bytes.py (mutations), test_fuzzed_files.py.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Truth = tuple[Any, ...]
ROWS = 9
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


@dataclass
class Row:
    """A row as the file holds it. question, answer: where in it they are; truth: what a reader has to make of it."""

    value: dict[str, Any]
    truth: Truth
    question: tuple[Any, ...]
    answer: tuple[Any, ...]
    say: Callable[[str, str], Truth]  # the truth with another question and answer


@dataclass
class Mutated:
    """A file's bytes, and what may be read from it.

    must: truths of rows that have to be read. may: truths that may be read or left out. gone: rows left out, at least.
    refused: whether the whole file may be refused. must_refuse: it has to be.
    """

    name: str
    suffix: str
    content: bytes
    must: list[Truth]
    may: list[Truth] = field(default_factory=list)
    gone: int = 0
    refused: bool = False
    must_refuse: bool = False


def said(role: str, content: str, thinking: str = "") -> Truth:
    """A turn."""
    return (role, thinking, content)


# The shapes: each makes row number `n`.


def messages(n: int) -> Row:
    value = {"messages": [{"role": "user", "content": f"q{n}?"}, {"role": "assistant", "content": f"a{n}"}]}

    def say(question: str, answer: str) -> Truth:
        return ("chat", (said("user", question), said("assistant", answer)), "[]")

    return Row(value, say(f"q{n}?", f"a{n}"), ("messages", 0, "content"), ("messages", 1, "content"), say)


def reasoned(n: int) -> Row:
    row = messages(n)
    row.value["messages"][1]["reasoning"] = f"r{n}"

    def say(question: str, answer: str) -> Truth:
        return ("chat", (said("user", question), said("assistant", answer, f"r{n}")), "[]")

    return Row(row.value, say(f"q{n}?", f"a{n}"), row.question, row.answer, say)


def called(n: int) -> Row:
    """Content parts, tools, a call and its result."""
    call = {"type": "function", "id": "c1", "function": {"name": "add", "arguments": json.dumps({"a": n})}}
    turns = [
        {"role": "developer", "content": "Use tools."},
        {"role": "user", "content": [{"type": "text", "text": f"q{n}"}, {"type": "text", "text": "?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": str(n)},
        {"role": "assistant", "content": f"a{n}"},
    ]

    def say(question: str, answer: str) -> Truth:
        turns = (
            said("system", "Use tools."), said("user", f"{question}?"), (*said("assistant", ""), "add", n),
            said("tool", str(n)), said("assistant", answer),
        )  # fmt: skip
        return ("chat", turns, json.dumps([TOOL]))

    value = {"messages": turns, "tools": [TOOL]}
    return Row(value, say(f"q{n}", f"a{n}"), ("messages", 1, "content", 0, "text"), ("messages", 4, "content"), say)


def sharegpt(n: int) -> Row:
    value = {
        "system": "Be kind.",
        "conversations": [{"from": "human", "value": f"q{n}?"}, {"from": "gpt", "value": f"a{n}"}],
    }

    def say(question: str, answer: str) -> Truth:
        return ("chat", (said("system", "Be kind."), said("user", question), said("assistant", answer)), "[]")

    return Row(value, say(f"q{n}?", f"a{n}"), ("conversations", 0, "value"), ("conversations", 1, "value"), say)


def alpaca(n: int) -> Row:
    value = {"instruction": f"q{n}?", "input": f"i{n}", "output": f"a{n}", "history": [["x", "y"]]}

    def say(question: str, answer: str) -> Truth:
        first = (said("user", "x"), said("assistant", "y"))
        return ("chat", (*first, said("user", f"{question}\n\ni{n}"), said("assistant", answer)), "[]")

    return Row(value, say(f"q{n}?", f"a{n}"), ("instruction",), ("output",), say)


def completed(n: int) -> Row:
    def say(question: str, answer: str) -> Truth:
        return ("chat", (said("user", question), said("assistant", answer)), "[]")

    return Row({"prompt": f"q{n}?", "completion": f"a{n}"}, say(f"q{n}?", f"a{n}"), ("prompt",), ("completion",), say)


def pair(n: int) -> Row:
    def say(question: str, answer: str) -> Truth:
        return ("pair", (said("user", question),), said("assistant", answer), said("assistant", f"b{n}"))

    value = {"prompt": f"q{n}?", "chosen": f"a{n}", "rejected": f"b{n}"}
    return Row(value, say(f"q{n}?", f"a{n}"), ("prompt",), ("chosen",), say)


def chat_pair(n: int) -> Row:
    """Whole chats: the prompt stands in both."""
    asked = {"role": "user", "content": f"q{n}?"}
    value = {
        "chosen": [asked, {"role": "assistant", "content": f"a{n}"}],
        "rejected": [dict(asked), {"role": "assistant", "content": f"b{n}"}],
    }

    def say(question: str, answer: str) -> Truth:
        return ("pair", (said("user", question),), said("assistant", answer), said("assistant", f"b{n}"))

    return Row(value, say(f"q{n}?", f"a{n}"), (), ("chosen", 1, "content"), say)


def problem(n: int) -> Row:
    def say(question: str, answer: str) -> Truth:
        return ("problem", (said("user", question),), answer, None)

    return Row({"problem": f"q{n}?", "answer": str(n)}, say(f"q{n}?", str(n)), ("problem",), ("answer",), say)


def worked(n: int) -> Row:
    """A problem as messages, with a worked solution."""
    value = {
        "question": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"q{n}?"}],
        "answer": str(n),
        "solution": f"s{n}",
    }

    def say(question: str, answer: str) -> Truth:
        return ("problem", (said("system", "Be brief."), said("user", question)), answer, f"s{n}")

    return Row(value, say(f"q{n}?", str(n)), ("question", 1, "content"), ("answer",), say)


# The formats.


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def as_array(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, indent=1).encode()


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=4)
    return file.getvalue()


def as_arrow(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow

    table, file = pyarrow.Table.from_pylist(rows), io.BytesIO()
    with pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    ".jsonl": as_lines,
    ".jsonl.gz": lambda rows: gzip.compress(as_lines(rows)),
    ".json": as_array,
    ".csv": as_csv,
    ".tsv": lambda rows: as_csv(rows, "\t"),
    ".parquet": as_parquet,
    ".arrow": as_arrow,
}
GOOD: list[tuple[Callable[[int], Row], str]] = [
    (messages, ".jsonl"), (called, ".jsonl"), (sharegpt, ".jsonl.gz"), (alpaca, ".json"), (completed, ".csv"),
    (completed, ".tsv"), (messages, ".parquet"), (reasoned, ".arrow"), (pair, ".jsonl"), (chat_pair, ".parquet"),
    (problem, ".csv"), (worked, ".json"),
]  # fmt: skip


def all_of(rows: list[Row]) -> list[Truth]:
    return [row.truth for row in rows]
