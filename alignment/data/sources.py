"""Named data sets: what data/sources/*.yaml declares, and how its rows are read.

A source is procedural (problems made from a seed) or a table (a public data set on the hub at a pinned revision, or a
local file in its place). Neighbours: mixture.py (how much of which source), procedural.py, rows.py.
"""

import json
import random
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from alignment.data.procedural import FAMILIES, problems
from alignment.data.rows import Conversation, Problem
from alignment.data.splits import SPLITS, Split, only
from alignment.errors import DataError
from alignment.resources import resource


class _Source(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    description: str
    licence: str
    use: Literal["training", "evaluation"] = "training"
    instruction: str = ""  # added to every question, so that the answer can be found


class Procedural(_Source):
    """Problems without end, made by a family of procedural.py."""

    kind: Literal["procedural"]
    use: Literal["training", "evaluation"] = "evaluation"  # a split decides; both uses are open
    family: str
    parameters: dict[str, Any] = {}


class Fields(BaseModel):
    """Where a table's row keeps what a Problem or Conversation needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    question: str | None = None
    answer: str | None = None
    answer_after: str | None = None  # the answer is what follows this mark in its field
    trace: str | None = None
    trace_before: str | None = None  # the worked solution is what stands before this mark
    trace_without: str | None = None  # a pattern that is cut out of it, such as a calculator's annotations
    messages: str | None = None
    columns: list[str] = []  # further fields that verifiers read; with them alone, a problem has no answer


class Table(_Source):
    """Rows of a public data set, read from a pinned revision or from a local file."""

    kind: Literal["table"]
    hub: str | None = None
    configuration: str | None = None
    part: str = "train"
    revision: str | None = None
    file: str | None = None  # shipped with the project, named from its root
    fields: Fields


Source = Annotated[Procedural | Table, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Procedural | Table] = TypeAdapter(Source)


def source_names() -> list[str]:
    """Every source that ships with the project."""
    return sorted(path.stem for path in resource("data/sources").glob("*.yaml"))


@cache
def load_source(name: str) -> Procedural | Table:
    """The declaration of a source. Raises DataError if there is none or if it is not well-formed."""
    path = resource("data/sources") / f"{name}.yaml"
    try:
        source = _ADAPTER.validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise DataError(f"there is no source `{name}` in {path.parent}") from error
    except (ValidationError, yaml.YAMLError) as error:
        raise DataError(f"{path}: {error}") from error
    if isinstance(source, Procedural) and source.family not in FAMILIES:
        raise DataError(f"{path}: there is no family `{source.family}`; write one of: {', '.join(FAMILIES)}")
    return source


def source_problems(
    source: Procedural | Table,
    *,
    seed: int,
    parameters: dict[str, Any],
    path: Path | None,
    splits: Collection[Split] = SPLITS,
) -> Iterator[Problem]:
    """The problems of a source in the order of the seed; a procedural source never ends.

    Of a source with few `splits` only the problems that belong to them: by the problem itself, without the source's
    instruction, so that another source with the same problems and another instruction has them in the same split.
    """
    if isinstance(source, Procedural):
        found = problems(source.family, seed=seed, parameters={**source.parameters, **parameters})
    else:
        rows = list(_table_rows(source, path))
        random.Random(seed).shuffle(rows)
        found = (_problem(source, index, row) for index, row in rows)
    for problem in found if set(splits) >= set(SPLITS) else only(splits, found):
        yield Problem(
            id=f"{source.id}/{problem.id}",
            question=problem.question + source.instruction,
            answer=problem.answer,
            trace=problem.trace,
            family=source.id,
            columns=problem.columns,
        )


def row_columns(source: Procedural | Table) -> set[str]:
    """The columns that a source's problems have for verifiers; a row without one is not that verifier's to judge."""
    if isinstance(source, Procedural):
        return set(FAMILIES[source.family].columns)
    answered = source.fields.answer is not None or not source.fields.columns
    return {*source.fields.columns, *(["answer"] if answered else [])}


def has_messages(source: Procedural | Table) -> bool:
    """Whether a source holds whole chats."""
    return isinstance(source, Table) and source.fields.messages is not None


def source_conversations(source: Table, *, seed: int, path: Path | None) -> Iterator[Conversation]:
    """The chats of a table that holds `messages`, in the order of the seed."""
    rows = list(_table_rows(source, path))
    random.Random(seed).shuffle(rows)
    for index, row in rows:
        messages = [_thinking_apart(message) for message in _messages(source, index, row)]
        thinks = bool(messages[-1].get("reasoning_content"))
        yield Conversation(f"{source.id}/{index}", messages, "thinking" if thinks else "non_thinking", source.id)


def _messages(source: Table, index: int, row: Any) -> list[dict[str, Any]]:
    name = source.fields.messages or "messages"
    messages = row.get(name) if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise DataError(
            f"source `{source.id}`, row {index}: `{name}` is no list of messages; "
            'write [{"role": "user", "content": …}, {"role": "assistant", "content": …}]'
        )
    return messages


def _thinking_apart(message: dict[str, Any]) -> dict[str, Any]:
    """A message with an inline think block moved to `reasoning_content`, where every template finds it."""
    content = message.get("content")
    if message.get("role") != "assistant" or not isinstance(content, str) or "</think>" not in content:
        return message
    thinking, _, answer = content.rpartition("</think>")
    thinking = thinking.replace("<think>", "").strip("\n")
    return {**message, "reasoning_content": thinking, "content": answer.lstrip("\n")}


def local_path(source: Table, path: Path | None) -> Path | None:
    """The local file that holds a table: an override, or one shipped with the project; None for the hub."""
    return path or (resource(source.file) if source.file else None)


def _table_rows(source: Table, path: Path | None) -> Iterator[tuple[int, dict[str, Any]]]:
    found = local_path(source, path)
    if found is None:
        import datasets  # heavy, and not needed for local files

        try:
            table = datasets.load_dataset(source.hub, source.configuration, split=source.part, revision=source.revision)
        except OSError as error:  # no network, no such set, no space
            raise DataError(
                f"source `{source.id}`: {source.hub} cannot be fetched ({error}); fetch it where there is a network, or "
                f"write --set data.sources.{source.id}.path=FILE"
            ) from error
        yield from enumerate(dict(row) for row in table)
        return
    try:
        text = found.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{found}: source `{source.id}` cannot be read ({error})") from error
    if text.lstrip().startswith("["):
        yield from enumerate(_parsed(source, f"{found}", text))
        return
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    for index, (number, line) in enumerate(lines):
        yield index, _parsed(source, f"{found}:{number}", line)


def _parsed(source: Table, where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: source `{source.id}` holds something that is not JSON ({error})") from error


def _problem(source: Table, index: int, row: dict[str, Any]) -> Problem:
    fields = source.fields
    try:
        question = str(row[fields.question or "question"])
        answer = str(row[fields.answer or "answer"]) if "answer" in row_columns(source) else ""
        trace = str(row[fields.trace]) if fields.trace else None
    except KeyError as error:
        raise DataError(f"source `{source.id}`, row {index}: no field {error}; it has {', '.join(row)}") from error
    if fields.answer_after:
        answer = answer.rsplit(fields.answer_after, 1)[-1].strip()
    if trace is not None and fields.trace_before:
        trace = trace.split(fields.trace_before, 1)[0].strip()
    if trace is not None and fields.trace_without:
        trace = re.sub(fields.trace_without, "", trace)
    return Problem(str(index), question, answer, trace, source.id, {name: row[name] for name in fields.columns})
