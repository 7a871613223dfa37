"""Which source a name means: a declaration by its name, data of the user's own by path or hub id, an own task.

Neighbours: declared.py (what a source is), rows.py (reads its rows), data/tables/shapes.py (recognises rows),
own_task.py.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from alignment.core.errors import DataError
from alignment.core.vocabulary import SPLITS, Split
from alignment.data.sources.declared import DECLARATIONS, Procedural, Table, declared, shipped, source_names
from alignment.data.sources.own_task import task_of
from alignment.data.tables.fields import Fields
from alignment.data.tables.files import last_change, read_table, split_name, splits_of
from alignment.data.tables.hub import HubTable, hub_rows, is_hub_id
from alignment.data.tables.shapes import Shape, recognised
from alignment.recipe.blocks.data import MixturePart
from alignment.recipe.own.code import LM_EVAL

OF_THE_HARNESS = {"description": "a task of lm-evaluation-harness", "licence": "that of the task's own data"}
NAMED_FIELDS = "rows in the fields that the recipe names"
INSTEAD_OF_HUB = "download it where there is a network, or write the path of a file, such as ./rows.jsonl"


def is_own(name: str) -> bool:
    """Whether a source is the user's own: a file whose path the recipe's loader has made absolute, or a hub id."""
    return is_file(name) or is_hub_id(name)


def is_file(name: str) -> bool:
    """Whether a source is a file or folder of the user's own."""
    return Path(name).is_absolute()


def is_source(name: str | None) -> bool:
    """Whether there is a source of that name whose declaration can be read, or a file whose rows are recognised."""
    return name is not None and is_readable(MixturePart(source=name))


def is_readable(part: MixturePart) -> bool:
    """Whether a part has a source, and that is declared soundly or its rows are recognised."""
    name = part.source
    try:
        return name is not None and (name in source_names() or is_own(name)) and bool(source_of(part))
    except DataError:
        return False


def source_of(part: MixturePart) -> Procedural | Table:
    """The source of a mixture part, with the part's own `fields`, subset, split and revision.

    Raises DataError as `load_source` does, and for a split that an own table does not have.
    """
    name, fields = str(part.source), _written_fields(part)
    if not is_hub_id(name) and (part.configuration or part.revision):
        raise DataError(f"`configuration` and `revision` are those of a hub id, and {name} is none; remove them")
    if is_hub_id(name):
        table = HubTable(name, part.configuration, part.split or "train", part.revision)
        return _on_hub(table) if fields is None else _hub_table(table, NAMED_FIELDS, fields)
    if is_file(name) and Path(name).suffix not in DECLARATIONS:
        return _file_of(part, Path(name), fields)
    source = load_source(name)
    if fields is None:
        return source
    if not isinstance(source, Table):
        raise DataError(f"`{name}` is procedural and has no fields; remove `fields`")
    return source.model_copy(update={"fields": fields})


def _file_of(part: MixturePart, path: Path, fields: Fields | None) -> Table:
    """An own file or folder as a table: the split that the part names if the folder has it, else the training split."""
    try:
        changed = last_change(path)
    except OSError as error:
        raise DataError(f"there is no file {path}; paths in `data` are relative to the recipe") from error
    by_hash = part.split in SPLITS and part.split not in splits_of(path)
    split = split_name(path, None if by_hash else part.split)
    if fields is None:
        return _own(path, changed, split)
    fields.refuse_absent(str(path), (row.value for row in read_table(path, split)))
    return _own_table(path.name, NAMED_FIELDS, fields, file=str(path), part=split)


def hash_split(part: MixturePart, source: Procedural | Table) -> Split | None:
    """The split of problems by their hash that a part names; None where it names none, or a split of its own table."""
    if isinstance(source, Table) and is_own(str(part.source)) and part.split == source.part:
        return None
    return next((split for split in SPLITS if split == part.split), None)


def _written_fields(part: MixturePart) -> Fields | None:
    try:
        return Fields.model_validate(part.fields) if part.fields else None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise DataError(f"`fields` of {part.source}: {faults}") from error


def load_source(name: str) -> Procedural | Table:
    """The declaration of a source, or what a file of the user's own is recognised as.

    Raises DataError if there is none, if it is malformed, or if nothing recognises the rows.
    """
    if name.startswith(LM_EVAL):
        return Table(id=name, kind="table", hub=name, use="evaluation", fields=Fields(), **OF_THE_HARNESS)
    if not is_own(name):
        return shipped(name)
    if is_hub_id(name) or Path(name).suffix not in DECLARATIONS:
        return source_of(MixturePart(source=name))
    path = Path(name)
    if (task := task_of(name)) is not None:
        rows = source_of(MixturePart(source=task.rows, fields=task.fields))
        return rows.model_copy(update={"id": task.name, "use": "evaluation"})
    source = declared(path, f"there is no file {path}; paths in `data` are relative to the recipe")
    if isinstance(source, Table) and source.file is not None:
        return source.model_copy(update={"file": str((path.parent / source.file).resolve())})
    return source


@lru_cache(maxsize=64)
def _own(path: Path, changed: int, split: str) -> Table:
    """A file or folder of rows of the user's own. changed: when it was written, in nanoseconds."""
    shape = recognised(str(path), (DataError(row.fault) if row.fault else row.value for row in read_table(path, split)))
    return _own_table(path.name, shape.name, fields_of(shape), file=str(path), part=split)


@lru_cache(maxsize=16)
def _on_hub(table: HubTable) -> Table:
    shape = recognised(table.id, (row.value for row in hub_rows(table, INSTEAD_OF_HUB)))
    return _hub_table(table, shape.name, fields_of(shape))


def _hub_table(table: HubTable, description: str, fields: Fields) -> Table:
    where = {"hub": table.id, "configuration": table.configuration, "revision": table.revision}
    return _own_table(table.id, description, fields, part=table.split, **where)


def fields_of(shape: Shape) -> Fields:
    """Where rows of a shape keep what."""
    if shape.gives == "steps":
        return Fields(steps=True)
    if shape.gives == "pairs":
        return Fields(prompt="prompt", chosen="chosen", rejected="rejected")
    if shape.gives == "conversations":
        return Fields(messages="messages")
    same = {name: name for name in ("answer", "system", "tools")}
    return Fields(question=shape.question, trace=shape.solution, kept=list(shape.kept), **same)


def _own_table(name: str, description: str, fields: Fields, *, part: str, **where: Any) -> Table:
    where |= {"id": name, "description": f"{description}, split {part}" if part else description, "part": part}
    return Table(kind="table", licence="not stated: data of the user's own", fields=fields, **where)
