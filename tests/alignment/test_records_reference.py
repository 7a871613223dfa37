"""docs/run-directory.md and docs/report.schema.json are made from the classes that are written and read."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

from alignment import records
from alignment.core.typed_json import described
from alignment.records.evaluation import Identified
from alignment.records.file_record import FileRecord, LineRecord
from alignment.records.reference import COMMAND, FILES, reference
from alignment.report.schema import COMMAND as SCHEMA_COMMAND
from alignment.report.schema import schema

DOCS = Path(__file__).parents[2] / "docs"


def recorded() -> Iterator[type]:
    """Every class of the records room that is a file or a line of one."""
    for module in pkgutil.iter_modules(records.__path__):
        found = vars(importlib.import_module(f"alignment.records.{module.name}")).values()
        yield from (one for one in found if isinstance(one, type) and issubclass(one, FileRecord | LineRecord))


def test_the_page_is_what_the_classes_say() -> None:
    page = (DOCS / "run-directory.md").read_text(encoding="utf-8")
    assert page == reference(), f"docs/run-directory.md is stale; write: {COMMAND}"


def test_the_schema_is_what_the_classes_say() -> None:
    page = (DOCS / "report.schema.json").read_text(encoding="utf-8")
    assert page == schema(), f"docs/report.schema.json is stale; write: {SCHEMA_COMMAND}"


def test_every_recorded_file_is_on_the_page_and_every_field_has_a_sentence() -> None:
    kinds = {one for one in recorded() if is_dataclass(one)} - {Identified}  # a view of several files
    assert kinds == {one.kind for one in FILES}
    bare = [
        f"{kind.__name__}.{one.name}" for kind in kinds for one in described(kind) if not (one.sentence or one.inline)
    ]
    assert bare == []
