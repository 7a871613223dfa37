"""Which files a table has: one file, the files of a folder with their splits, or a folder that `datasets` saved.

Training, checks, lint and `alignment data` read through this file, so that none of them sees other rows. Neighbours:
formats.py (the rows of one file), shapes.py (what a row is), data/sources/named.py (which table).
"""

import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.core.errors import DataError
from alignment.core.files import content_hash, file_hash
from alignment.data.tables.formats import TABLE_ENDINGS, is_table_file, plain_row, rows_of_file

# As `datasets` finds splits in the names of files and folders, anywhere in them: `gsm8k-test.jsonl`; and rows held out.
SPLIT_NAME = re.compile(
    r"(?i)(?:^|[-_. 0-9])(train|training|validation|valid|val|dev|test|testing|eval|evaluation|held[-_]?out|hold[-_]?out)"
    r"(?=$|[-_. 0-9])"
)
TRAINING = ("train", "training")
# What stands beside data and holds none. Any other file of a folder that is not read is an error.
BESIDE_DATA = (
    ".md", ".rst", ".html", ".pdf", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".py", ".ipynb", ".sh", ".lock", ".log", ".png",
    ".jpg", ".jpeg", ".gif", ".svg", ".sha256", ".md5", ".cff", ".bib", ".crc",
)  # fmt: skip
BESIDE_NAMES = ("readme", "license", "licence", "notice", "copying", "authors", "citation", "changelog", "makefile", "dockerfile",
                "_success")  # fmt: skip
_SAVED, _SAVED_SPLITS = "state.json", "dataset_dict.json"  # of Dataset.save_to_disk and DatasetDict.save_to_disk


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


def table_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder: what an own table is known by in a stage's identity."""
    return content_hash(path) if path.is_dir() else file_hash(path)


def splits_of(path: Path) -> dict[str, list[Path]]:
    """`{split: files}` of a table; the split of a file or folder without splits is the empty text.

    A folder that `datasets` saved stands for its files. Raises DataError for a folder without data, or with data that cannot
    be told to be of a split or not.
    """
    if not path.is_dir():
        return {"": [path]}
    if (path / _SAVED_SPLITS).is_file():
        return {name: [path / name] for name in _saved_splits(path)}
    if (path / _SAVED).is_file():
        return {"": [path]}
    found: dict[str, list[Path]] = {}
    for file in _data_files(path):
        found.setdefault(_split_name(file.relative_to(path)), []).append(file)
    if "" in found and len(found) > 1:
        named = next(files[0] for name, files in found.items() if name)
        raise DataError(
            f"{path}: {found[''][0].name} stands beside {named.name}, which is named as a split; name all files as "
            "train-… and test-…, or keep the splits in folders of their own"
        )
    if not found:
        raise DataError(f"{path}: this folder holds no data; put files into it that end in {', '.join(TABLE_ENDINGS)}")
    return found


def split_name(path: Path, wanted: str | None) -> str:
    """The split that is read: the one that is wanted, else the training split, else the only one. Raises DataError."""
    names = list(splits_of(path))
    if wanted is not None:
        if wanted in names:
            return wanted
        has = f"has the splits {', '.join(names)}; write one of them" if names != [""] else "has no splits; remove it"
        raise DataError(f"`split: {wanted}`: {path.name} {has}")
    chosen = names[0] if len(names) == 1 else next((name for name in TRAINING if name in names), None)
    if chosen is None:
        raise DataError(f"{path}: has the splits {', '.join(names)}; say which with `split`")
    return chosen


def table_files(path: Path, split: str = "") -> list[Path]:
    """The files of one split of a table. Raises DataError as `splits_of`, and for a split that it does not have."""
    found = splits_of(path)
    return found[split] if split in found else found[split_name(path, split or None)]


def last_change(path: Path) -> int:
    """When a table was last written, in nanoseconds. Raises OSError if it is not there."""
    files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else []
    return max([path.stat().st_mtime_ns, *(one.stat().st_mtime_ns for one in files)])


def read_table(path: Path, split: str = "") -> Iterator[FileRow]:
    """The rows of a file or of a folder's split, in order, one at a time. Raises DataError for a file that is not its format."""
    index = 0
    for file in table_files(path, split):
        for number, place, value, fault in _saved_rows(file) if file.is_dir() else rows_of_file(file):
            yield FileRow(index, number, place, value, fault)
            index += 1


def _data_files(path: Path) -> Iterator[Path]:
    """The files of a folder and its folders that hold rows. Raises DataError for data that cannot be read."""
    linked = next((one for one in path.rglob("*") if one.is_symlink() and one.is_dir()), None)
    if linked is not None:
        raise DataError(f"{linked}: is a link to a folder, which is not followed; name that folder itself, or copy it")
    lost = next((one for one in path.rglob("*") if one.is_symlink() and not one.exists()), None)
    if lost is not None:
        raise DataError(f"{lost}: is a link to a file that is not there; bring the file, or remove the link")
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        parts = file.relative_to(path).parts
        named = file.name.partition(".")[0].lower() in BESIDE_NAMES and not is_table_file(file)
        beside = named or file.suffix.lower() in BESIDE_DATA or file.name in ("dataset_info.json", "dataset_infos.json")
        if beside or "__pycache__" in parts or any(part.startswith(".") for part in parts):
            continue
        if is_table_file(file) and not any(part.startswith("_") for part in parts):
            yield file
        else:
            what = f"{file.suffix or 'a file without an ending'} is no format that is read"
            raise DataError(
                f"{file}: {'its name begins with _' if is_table_file(file) else what}; make it one of "
                f"{', '.join(TABLE_ENDINGS)}, or move it out of the folder"
            )


def _split_name(file: Path) -> str:
    """The split that is in a file's name, or in one of its folders' names; empty if none is."""
    for part in (*file.parts[:-1], file.name):
        found = SPLIT_NAME.search(part)
        if found:
            return found[1].lower()
    return ""


def _saved_splits(path: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads((path / _SAVED_SPLITS).read_text(encoding="utf-8"))["splits"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path / _SAVED_SPLITS}: cannot be read ({error}); save the data set again") from error


def _saved_rows(folder: Path) -> Iterator[tuple[int, str, Any, str]]:
    """The rows of a data set that `save_to_disk` wrote, from its memory-mapped files."""
    import datasets  # heavy, and needed for this format alone

    pyarrow = importlib.import_module("pyarrow")

    try:
        table = datasets.load_from_disk(str(folder), keep_in_memory=False)
        for number, row in enumerate(table, 1):
            yield number, f"{folder.name}, row {number}", plain_row(row), ""
    except (OSError, ValueError, KeyError, TypeError, pyarrow.ArrowException) as error:
        raise DataError(
            f"{folder}: cannot be read as a data set on disk ({error}); write it again with save_to_disk"
        ) from error
