"""The rows of a table in the order of a seed: what cannot be read keeps its place in the order, and says why.

Neighbours: data/sources/rows.py (which rows), spool.py (where shuffled rows wait).
"""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from alignment.core.errors import DataError
from alignment.data.rows import Conversation, Preference, Problem
from alignment.data.tables.files import FileRow
from alignment.data.tables.spool import Spool

Read = TypeVar("Read", Conversation, Problem, Preference)


def read_in_order(
    rows: Iterable[FileRow], read: Callable[[FileRow], Read], seed: int | None
) -> Iterator[tuple[str, int, Read | DataError]]:
    """(place, index, row or why there is none) of a table's rows, shuffled by the seed; one at a time as they come for None.

    Rows that are shuffled wait on disk, so that a table larger than memory can be read.
    """
    if seed is None:
        yield from ((row.place, row.index, row_or_why(row, read)) for row in rows)
        return
    waiting: Spool[Read] = Spool()
    found: list[tuple[str, int, DataError] | int] = []  # of a row that was read, its place in the spool
    for row in rows:
        value = row_or_why(row, read)
        if isinstance(value, DataError):
            found.append((row.place, row.index, value))
        else:
            found.append(len(waiting))
            waiting.append(value)
    random.Random(seed).shuffle(found)
    for one in found:
        yield one if isinstance(one, tuple) else ("", 0, waiting[one])


def row_or_why(row: FileRow, read: Callable[[FileRow], Read]) -> Read | DataError:
    """A row as what it is read as, or the error that says why it cannot be."""
    try:
        return read(row) if not row.fault else DataError(row.fault)
    except DataError as error:
        return error
