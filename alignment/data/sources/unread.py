"""Names the columns of a table that nothing reads, so that nobody takes them for trained.

Neighbours: data/tables/shapes.py (which columns a recognised row is read from), data/tables/fields.py (the declared
ones).
"""

import itertools
from collections.abc import Iterator
from typing import Any

from alignment.data.sources.declared import Procedural, Table
from alignment.data.sources.named import NAMED_FIELDS, is_own
from alignment.data.sources.rows import table_rows
from alignment.data.tables.shapes import LOOKED_AT, columns_read
from alignment.data.tables.turns import READ_KEYS

NAMED = ("tool", "function", "observation", "function_response")  # roles whose `name` some templates write


def unread_columns(source: Procedural | Table) -> list[str]:
    """The columns of an own table's first rows that nothing reads, sorted; none for any other source."""
    if not isinstance(source, Table) or not is_own(source.file or source.id):
        return []
    declared = source.fields.read if source.description.startswith(NAMED_FIELDS) else None
    rows = (row.value for row in itertools.islice(table_rows(source, None), LOOKED_AT) if isinstance(row.value, dict))
    found = {str(name) for row in rows for name in {*row.keys() - (declared or columns_read(row)), *_of_turns(row)}}
    return sorted(found)


def _of_turns(row: dict[str, Any]) -> Iterator[str]:
    """The keys of a row's turns that nothing reads: `messages.score`."""
    for name, value in row.items():
        for one in value if isinstance(value, list) else ():
            if isinstance(one, dict) and one.keys() & {"role", "from"}:
                read = READ_KEYS if one.get("role", one.get("from")) in NAMED else READ_KEYS - {"name"}
                yield from (f"{name}.{key}" for key, kept in one.items() if key not in read and kept is not None)
