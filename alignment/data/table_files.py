"""Reads the rows of a table from local files: JSON lines, a JSON array, CSV, parquet, any of them in .gz, or a folder.

Training, checks, lint and `alignment data` read through this file, so that none of them sees other rows. A line that cannot
be read is a row with a fault and not the end of reading. Neighbours: shapes.py (what a row is), sources.py (which file).
"""

import csv
import gzip
import importlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from alignment.core.errors import DataError
from alignment.core.files import content_hash, file_hash

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
TABLE_ENDINGS = (*JSON_ENDINGS, ".csv", ".tsv", ".parquet")
LONGEST_CELL = 1 << 30  # characters of a CSV field; Python's own limit of 131,072 is shorter than a long chat
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class FileRow:
    """One row of a file.

    index: its position among the table's rows, from 0. number: its line, or its position where a file has no lines, from 1.
    place: `chats.jsonl:17`. fault: why it has no value; empty for a row that was read.
    """

    index: int
    number: int
    place: str
    value: Any
    fault: str = ""


def is_table_file(path: Path) -> bool:
    """Whether a file's name ends as one of the formats, compressed or not."""
    return ending_of(path) in TABLE_ENDINGS


def ending_of(path: Path) -> str:
    """The ending that names the format, without `.gz`."""
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def table_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder: what an own table is known by in a stage's identity."""
    return content_hash(path) if path.is_dir() else file_hash(path)


def table_files(path: Path) -> list[Path]:
    """The files of a table: the file itself, or those of a folder by name. Raises DataError for a folder without any."""
    if not path.is_dir():
        return [path]
    found = sorted(one for one in path.iterdir() if one.is_file() and is_table_file(one) and one.name[0] != ".")
    if not found:
        raise DataError(f"{path}: this folder holds no data; put files into it that end in {', '.join(TABLE_ENDINGS)}")
    return found


def read_table(path: Path) -> Iterator[FileRow]:
    """The rows of a file or a folder, in order. Raises DataError for a file that cannot be read as its format at all."""
    index = 0
    for file in table_files(path):
        for number, place, value, fault in _rows_of(file):
            yield FileRow(index, number, place, value, fault)
            index += 1


Found = tuple[int, str, Any, str]  # number, place, value, fault


def _rows_of(path: Path) -> Iterator[Found]:
    try:
        if path.suffix == ".parquet":
            yield from _parquet_rows(path)
            return
        with _opened(path) as file:
            if ending_of(path) in (".csv", ".tsv"):
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
    """Whether the first character is a bracket. The file is at its start again afterwards."""
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
            value, fault = _parsed(text)
            yield number, f"{path.name}:{number}", value, fault and f"{fault}; write one JSON object a line"


def _array_rows(path: Path, file: BinaryIO) -> Iterator[Found]:
    values, fault = _parsed(file.read().removeprefix(_BOM))
    if fault:
        raise DataError(f"{path}: {fault}; write a JSON array of objects, or one object a line")
    for number, value in enumerate(values, 1):
        yield number, f"{path.name}, row {number}", value, ""


def _parsed(text: bytes) -> tuple[Any, str]:
    """A JSON value, or why there is none."""
    try:
        return json.loads(text.decode("utf-8")), ""
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8 text ({error.reason} at byte {error.start})"
    except RecursionError:
        return None, "is not JSON (nested too deeply)"
    except ValueError as error:
        return None, f"is not JSON ({error})"


def _csv_rows(path: Path, file: BinaryIO) -> Iterator[Found]:
    """One row for each record; the first line names the columns. Every value is text."""
    csv.field_size_limit(LONGEST_CELL)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    delimiter = "\t" if ending_of(path) == ".tsv" else ","
    try:
        reader = csv.DictReader(text, delimiter=delimiter, strict=True)
        line = 2
        for row in reader:
            torn = None in row or None in row.values()
            yield line, f"{path.name}:{line}", dict(row), "has more or fewer fields than the first line" if torn else ""
            line = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error}); write UTF-8 with one header line") from error


def _parquet_rows(path: Path) -> Iterator[Found]:
    pyarrow = importlib.import_module("pyarrow")  # heavy, and needed for this format alone
    parquet = importlib.import_module("pyarrow.parquet")

    try:
        number = 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for value in batch.to_pylist():
                    number += 1
                    yield number, f"{path.name}, row {number}", value, ""
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error})") from error
