"""The rows of one file: JSON lines, a JSON array, CSV, parquet or Arrow, the text formats also in .gz.

Each reader gives one row at a time, so that memory does not grow with a file. A line that cannot be read is a row with
a fault; a file that is not its format at all is a DataError. Neighbours: json_text.py (parses), files.py (which files).
"""

import csv
import gzip
import importlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from alignment.core.errors import DataError
from alignment.data.tables.json_text import WrittenNumber, array_items, parse_json

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
TEXT_ENDINGS = (*JSON_ENDINGS, ".csv", ".tsv")  # the formats that may be in .gz
TABLE_ENDINGS = (*TEXT_ENDINGS, ".parquet", ".arrow")
LONGEST_CELL = 1 << 30  # characters of a CSV field; Python's own limit of 131,072 is shorter than a long chat
_BOM = b"\xef\xbb\xbf"

Found = tuple[int, str, Any, str]  # number, place, value, fault


def is_table_file(path: Path) -> bool:
    """Whether a file's name ends as one of the formats, compressed or not."""
    ending = ending_of(path)
    return ending in (TEXT_ENDINGS if path.suffix == ".gz" else TABLE_ENDINGS)


def ending_of(path: Path) -> str:
    """The ending that names the format, without `.gz`."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def rows_of_file(path: Path) -> Iterator[Found]:
    """(number, place, value, fault) of each row of a file. Raises DataError for a file that is not its format at all."""
    ending = ending_of(path)
    if ending and not is_table_file(path):
        raise DataError(f"{path}: {path.suffix} is no format that is read; write {', '.join(TABLE_ENDINGS)}")
    try:
        if ending in (".parquet", ".arrow"):
            yield from _arrow_rows(path, _parquet_batches if ending == ".parquet" else _arrow_batches)
            return
        with _opened(path) as file:
            if ending in (".csv", ".tsv"):
                yield from _csv_rows(path, file)
            elif _holds_array(file):
                yield from _array_rows(path, file)
            else:
                yield from _line_rows(path, file)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _holds_array(file: BinaryIO) -> bool:
    """Whether the file begins with a bracket, as an array of rows does.

    The file is at its start again afterwards.
    """
    first = b""
    while not first:
        block = file.read(4096)
        if not block:
            break
        first = block.removeprefix(_BOM).lstrip()[:1]
    file.seek(0)
    return first == b"["


def _line_rows(path: Path, file: BinaryIO) -> Iterator[Found]:
    """One JSON value a line. Lines end at "\\n" alone: a text may hold U+2028, at which str.splitlines() would break it."""
    for number, line in enumerate(file, 1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            value, fault = parse_json(text)
            yield number, f"{path.name}:{number}", value, fault and f"{fault}; write one JSON object a line"


def _array_rows(path: Path, file: BinaryIO) -> Iterator[Found]:
    try:
        for number, value in enumerate(array_items(file), 1):
            yield number, f"{path.name}, row {number}", value, ""
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise DataError(f"{path}: is not JSON ({why}); write a JSON array of objects, or one object a line") from error


def _csv_rows(path: Path, file: BinaryIO) -> Iterator[Found]:
    """One row for each record; the first line names the columns. Every value is text."""
    csv.field_size_limit(LONGEST_CELL)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        reader = csv.DictReader(text, delimiter=_delimiter(path, file, text), strict=True)
        _refuse_twice(path, reader.fieldnames or [])
        line = 2
        for row in reader:
            torn = None in row or None in row.values()
            yield line, f"{path.name}:{line}", dict(row), "has more or fewer fields than the first line" if torn else ""
            line = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); write UTF-8 with one header line") from error


def _refuse_twice(path: Path, columns: Sequence[str]) -> None:
    """Raise DataError for two columns of one name, of which a row would have the last."""
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; rename one of them")


def _delimiter(path: Path, file: BinaryIO, text: io.TextIOWrapper) -> str:
    """What parts the columns: a tab in .tsv; in .csv a comma, or what the first line holds in its place."""
    if ending_of(path) == ".tsv":
        return "\t"
    header = text.readline()
    file.seek(0)
    text.seek(0)
    return next((mark for mark in (",", ";", "\t") if mark in header), ",")


def _arrow_rows(path: Path, batches: Callable[[Any, Path], Iterator[Any]]) -> Iterator[Found]:
    pyarrow = importlib.import_module("pyarrow")  # heavy, and needed for these formats alone
    try:
        number = 0
        for batch in batches(pyarrow, path):
            _refuse_twice(path, batch.schema.names)
            types = pyarrow.types  # 0.1 in 32 bits would become 0.10000000149011612
            short = {
                field.name: "float32" if types.is_float32(field.type) else "float16"
                for field in batch.schema
                if types.is_float32(field.type) or types.is_float16(field.type)
            }
            for value in batch.to_pylist():
                number += 1
                row = plain_row(value)
                row.update({name: _as_written(value[name], form) for name, form in short.items()})
                yield number, f"{path.name}, row {number}", row, ""
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]} ({error})") from error


def _parquet_batches(pyarrow: Any, path: Path) -> Iterator[Any]:
    with importlib.import_module("pyarrow.parquet").ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=256)


def _arrow_batches(pyarrow: Any, path: Path) -> Iterator[Any]:
    """The record batches of an Arrow file, as `datasets` and others write it: a stream, or with a footer (Feather)."""
    with pyarrow.memory_map(str(path)) as source:
        ipc = pyarrow.ipc
        footer = source.read(6) == b"ARROW1"
        source.seek(0)
        reader = ipc.open_file(source) if footer else ipc.open_stream(source)
        batches = (reader.get_batch(index) for index in range(reader.num_record_batches)) if footer else reader
        for batch in batches:
            yield from (batch.slice(start, 256) for start in range(0, batch.num_rows, 256))


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of an Arrow table in JSON's types.

    Structs have every key of any row, as null where a row has none: those keys are removed. Dates are their ISO text; bytes
    are text where they are UTF-8. What is no text, such as an image, is null.
    """
    return {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): _plain(kept) for name, kept in value.items() if kept is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return WrittenNumber(str(value))
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else None
    except UnicodeDecodeError:
        return None


def _as_written(value: float | None, form: str) -> WrittenNumber | None:
    """A number of 32 or 16 bits by its shortest text. form: numpy's name of its type."""
    import numpy

    return None if value is None else WrittenNumber(str(numpy.dtype(form).type(value)))
