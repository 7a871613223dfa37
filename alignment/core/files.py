"""Files: SHA-256 hashes, and JSON that is written atomically.

Neighbours: records/ (which files a run directory holds), errors.py.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from alignment.core.errors import ArtifactError

# Data may hold a lone surrogate (half a character), which UTF-8 cannot encode: write it as JSON's own escape, which
# reads back the same.
HALF_CHARACTERS = "backslashreplace"


def canonical_hash(value: Any) -> str:
    """SHA-256 of a value in canonical JSON: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode(errors=HALF_CHARACTERS)).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises ArtifactError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error


def folder_files(folder: Path) -> dict[str, dict[str, Any]]:
    """`{relative path: {bytes, sha256}}` of every file in a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): {"bytes": path.stat().st_size, "sha256": file_hash(path)} for path in paths}


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: a reader sees the old file or the whole new one, even if this process is killed.

    Raises ArtifactError that names the file when the disk is full or read-only.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors=HALF_CHARACTERS) as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be written ({error.strerror or error}); nothing finished was touched"
        ) from error


def read_json(path: Path) -> Any:
    """Read JSON. Raises ArtifactError that names the file if it is missing, unreadable or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{path}: is damaged: not JSON at line {error.lineno} ({error.msg})") from error
