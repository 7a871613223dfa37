"""Rows kept in a temporary file and read back by their place, so that a large table takes disk and not memory.

The file has no name, and is gone when the rows are no longer used or the process ends, however it ends. Neighbours:
data/rows.py (the rows), data/sources/rows.py (shuffles a table through here), data/mixture.py (what a stage trains on).
"""

import json
import random
import tempfile
from array import array
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar, cast, overload

from alignment.data.rows import Conversation, Preference, Problem

AnyRow = TypeVar("AnyRow", bound=Problem | Conversation | Preference)
Item = TypeVar("Item")
_TYPES = {one.__name__: one for one in (Problem, Conversation, Preference)}


class Spool(Sequence[AnyRow]):
    """A sequence of rows on disk; memory holds 8 bytes of each. TMPDIR says on which disk."""

    def __init__(self, rows: Iterable[AnyRow] = ()) -> None:
        self._file = tempfile.TemporaryFile()
        self._starts, self._end = array("Q"), 0
        for row in rows:
            self.append(row)

    def append(self, row: AnyRow) -> None:
        """Add a row at the end."""
        line = json.dumps([type(row).__name__, vars(row)]).encode() + b"\n"
        self._file.seek(self._end)
        self._file.write(line)
        self._starts.append(self._end)
        self._end += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> AnyRow: ...
    @overload
    def __getitem__(self, place: slice) -> list[AnyRow]: ...
    def __getitem__(self, place: int | slice) -> AnyRow | list[AnyRow]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        self._file.seek(self._starts[place])
        name, values = json.loads(self._file.readline())
        return cast(AnyRow, _TYPES[name](**values))


class Picked(Sequence[Item], Generic[Item]):
    """Items of a sequence by their places in it: in another order, or some of them."""

    def __init__(self, items: Sequence[Item], places: Iterable[int]) -> None:
        self._items, self._places = items, array("Q", places)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> list[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | list[Item]:
        if isinstance(place, slice):
            return [self._items[one] for one in self._places[place]]
        return self._items[self._places[place]]


def shuffled(items: Sequence[Item], seed: int) -> Picked[Item]:
    """A sequence in the order that `random.Random(seed).shuffle` gives a list of the same length."""
    places = list(range(len(items)))
    random.Random(seed).shuffle(places)
    return Picked(items, places)
