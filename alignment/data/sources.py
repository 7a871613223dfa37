"""Named data sets: what data/sources/*.yaml declares, and how its rows are read.

A source is procedural (problems made from a seed) or a table (a public data set on the hub at a pinned revision, or a
local file in its place). Neighbours: fields.py (what in a table's row is what), mixture.py (how much of which source),
procedural.py, rows.py.
"""

import json
import random
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from alignment.core.errors import DataError
from alignment.core.resources import resource
from alignment.core.vocabulary import SPLITS, Mode, Split
from alignment.data.fields import Fields, read_messages, read_problem, read_tool_schemas
from alignment.data.generators.families import FAMILIES, problems
from alignment.data.rows import Conversation, Problem
from alignment.data.splits import only


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


class Table(_Source):
    """Rows of a public data set, read from a pinned revision or from a local file."""

    kind: Literal["table"]
    hub: str | None = None
    configuration: str | None = None
    part: str = "train"
    revision: str | None = None
    file: str | None = None  # shipped with the project, named from its root
    fields: Fields
    within: dict[str, tuple[float, float]] = {}  # only rows whose field lies between the two, both included


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
        found = (read_problem(source.id, source.fields, index, row) for index, row in rows)
    for problem in found if set(splits) >= set(SPLITS) else only(splits, found):
        asked = problem.with_question(problem.question + source.instruction) if source.instruction else problem
        yield replace(asked, id=f"{source.id}/{problem.id}", family=source.id)


def row_columns(source: Procedural | Table) -> set[str]:
    """The columns that a source's problems have for verifiers; a row without one is not that verifier's to judge."""
    if isinstance(source, Procedural):
        return set(FAMILIES[source.family].columns)
    return source.fields.given_columns


def can_be_imitated(source: Procedural | Table) -> bool:
    """Whether a source shows right answers, and not only ways to judge them."""
    return has_messages(source) or not row_columns(source).isdisjoint(("answer", "solution"))


def has_messages(source: Procedural | Table) -> bool:
    """Whether a source holds whole chats."""
    return isinstance(source, Table) and source.fields.messages is not None


def source_conversations(source: Table, *, seed: int, path: Path | None) -> Iterator[Conversation]:
    """The chats of a table that holds `messages`, in the order of the seed."""
    rows = list(_table_rows(source, path))
    random.Random(seed).shuffle(rows)
    for index, row in rows:
        messages = read_messages(source.id, source.fields, index, row)
        tools = read_tool_schemas(source.id, source.fields, index, row)
        mode: Mode = "thinking" if messages[-1].get("reasoning_content") else "non_thinking"
        yield Conversation(f"{source.id}/{index}", messages, mode, source.id, tools)


def local_path(source: Table, path: Path | None) -> Path | None:
    """The local file that holds a table: an override, or one shipped with the project; None for the hub."""
    return path or (resource(source.file) if source.file else None)


def _table_rows(source: Table, path: Path | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows that a table has `within` its bounds, numbered as they stand in their file."""
    for index, row in _all_rows(source, path):
        if not source.within or _lies_within(source, index, row):
            yield index, row


def _lies_within(source: Table, index: int, row: Any) -> bool:
    try:
        return all(lowest <= float(row[name]) <= highest for name, (lowest, highest) in source.within.items())
    except (KeyError, TypeError, ValueError) as error:
        names = ", ".join(source.within)
        raise DataError(
            f"source `{source.id}`, row {index}: it is chosen by the number in {names}, and here is none ({error})"
        ) from error


def _all_rows(source: Table, path: Path | None) -> Iterator[tuple[int, dict[str, Any]]]:
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
