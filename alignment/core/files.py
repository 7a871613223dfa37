"""Files: hashes, text and JSON that are written whole or not at all, and JSON lines of which a kill costs the last.

The one coding of each of these; records/ says which files there are. Neighbours: typed_json.py (JSON of dataclasses),
locks.py (who may write).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from alignment.core.errors import ArtifactError
from alignment.core.typed_json import encode

# Data may hold a lone surrogate (half a character), which UTF-8 cannot encode: write it as JSON's own escape, which
# reads back the same.
HALF_CHARACTERS = "backslashreplace"


@dataclass(frozen=True)
class FileFacts:
    """What tells a file from another."""

    bytes: Annotated[int, "its size"]
    sha256: Annotated[str, "SHA-256 of its bytes"]


def canonical_hash(value: object) -> str:
    """SHA-256 of a value in canonical JSON: sorted keys, no white space. Dataclasses are hashed as JSON has them."""
    text = json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors=HALF_CHARACTERS)).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises ArtifactError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error


def folder_files(folder: Path) -> dict[str, FileFacts]:
    """`{relative path: size and hash}` of every file in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): FileFacts(path.stat().st_size, file_hash(path)) for path in paths}


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files, by which a model folder outside a run is known."""
    return canonical_hash({name: facts.sha256 for name, facts in folder_files(folder).items()})


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, whatever happens in between.

    Raises ArtifactError that names the file when the disk is full or read-only.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors=HALF_CHARACTERS) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True) if path.parent.is_dir() else None
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror or error}); nothing finished was touched"
        ) from error


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all. Raises ArtifactError as `write_text` does."""
    write_text(path, json.dumps(encode(value), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON. Raises ArtifactError that names the file if it is missing, unreadable or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{path}: is damaged: not JSON at line {error.lineno} ({error.msg})") from error
    except RecursionError as error:
        raise ArtifactError(f"{path}: is damaged: nested too deeply") from error


def json_or_empty(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; empty where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def as_json_line(value: object) -> str:
    """A value as one line of a .jsonl file, its end included."""
    return json.dumps(encode(value), ensure_ascii=False) + "\n"


def write_json_lines(path: Path, values: Iterable[object]) -> None:
    """Write a whole .jsonl file or none of it. Raises ArtifactError as `write_text` does."""
    write_text(path, "".join(map(as_json_line, values)))


def append_json_lines(path: Path, values: Iterable[object]) -> None:
    """Add lines to a .jsonl file, the first on a line of its own even after one that a kill cut short.

    Raises ArtifactError that names the file if it cannot be written.
    """
    text = "".join(map(as_json_line, values)).encode(errors=HALF_CHARACTERS)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            if file.tell() > 0:
                file.seek(-1, os.SEEK_END)
                text = text if file.read(1) == b"\n" else b"\n" + text
            file.write(text)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_json_lines(path: Path, damaged: list[int] | None = None) -> Iterator[Any]:
    """The values of a .jsonl file, one at a time; a line that a kill cut short is passed over.

    Lines end at "\\n" and nowhere else: a text may hold U+2028, at which str.splitlines() would break it. The numbers of
    lines that are not JSON go into `damaged`. Raises ArtifactError if the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    value = json.loads(line.decode("utf-8", errors="replace"))
                except (ValueError, RecursionError):
                    if damaged is not None:
                        damaged.append(number)
                    continue
                yield value
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror or error})") from error
