"""Data sets on the Hugging Face hub, by their id as it stands (`org/name`): their rows, and the revision that was read.

What is downloaded lies in the cache of `datasets` and is memory-mapped. Neighbours: data/sources/named.py (declared and
own sources), files.py (files on this machine).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from alignment.core.errors import DataError
from alignment.data.tables.files import FileRow
from alignment.data.tables.formats import plain_row

_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class HubTable:
    """One split of a data set on the hub. configuration: its subset; revision: a commit, tag or branch."""

    id: str
    configuration: str | None = None
    split: str = "train"
    revision: str | None = None


def is_hub_id(name: str) -> bool:
    """Whether a name is written as the hub names data sets; whether there is such a set is not known without a network."""
    return _ID.fullmatch(name) is not None


def hub_rows(table: HubTable, instead: str) -> Iterator[FileRow]:
    """The rows of a set. Raises DataError, with what to write `instead`, where it cannot be downloaded or has no such split."""
    for index, row in enumerate(_downloaded(table, instead)):
        yield FileRow(index, index + 1, f"{table.id}, row {index + 1}", plain_row(row))


def hub_revision(table: HubTable, instead: str) -> str:
    """The commit whose rows are read, by which a stage knows them again. Raises DataError as `hub_rows`."""
    files = _downloaded(table, instead).cache_files
    return table.revision or (Path(files[0]["filename"]).parent.name if files else "unknown")


def _downloaded(table: HubTable, instead: str) -> Any:
    found = _attempt(table)
    if isinstance(found, Exception):
        why = " ".join(str(found).split()) or type(found).__name__
        raise DataError(f"{table.id} cannot be read from the hub ({why}); {instead}") from found
    return found


@lru_cache(maxsize=16)
def _attempt(table: HubTable) -> Any:
    """The set, or why it cannot be had: without a network the hub's client tries for half a minute, once for all checks."""
    import datasets  # heavy, and not needed for local files
    import httpx

    try:
        return datasets.load_dataset(table.id, table.configuration, split=table.split, revision=table.revision)
    except (
        OSError,
        ValueError,
        RuntimeError,
        ImportError,
        httpx.HTTPError,
        datasets.exceptions.DatasetsError,
    ) as error:
        return error
