"""Reads records that may be missing, incomplete or hostile, and notes what is wrong instead of failing.

Every value leaves here printable: no NaN, no infinity, no lone surrogate that would break a later UTF-8 write.
Neighbours: run.py knows which file holds which record; this file knows only how files go wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from alignment.core.errors import ArtifactError
from alignment.core.files import read_json, read_json_lines
from alignment.core.typed_json import Json, Unreadable, clean, decode

T = TypeVar("T")


@dataclass(frozen=True)
class Reader:
    """Reads the files of one run directory and collects, in `notes`, a sentence for each thing that was wrong."""

    root: Path
    notes: list[str] = field(default_factory=list)

    def note(self, path: Path, message: str) -> None:
        """Note something about a file."""
        self.notes.append(f"{path.relative_to(self.root)} {message}")

    def record(self, kind: type[T], path: Path) -> T | None:
        """The record in a JSON file; None where there is no such file, and where it cannot be read, with a note."""
        if not path.is_file():
            return None
        try:
            damage: list[str] = []
            found = decode(kind, clean(read_json(path)), damage)
        except (ArtifactError, Unreadable) as error:
            self.note(path, f"cannot be read and was left out ({_reason(error, path)}).")
            return None
        for sentence in damage:
            self.note(path, sentence)
        return found

    def matching(self, kind: type[T], folder: Path, pattern: str) -> Iterator[T]:
        """The records in a folder's JSON files of such a name, in the order of their names."""
        found = (self.record(kind, path) for path in sorted(folder.glob(pattern)))
        yield from (one for one in found if one is not None)

    def lines(self, path: Path) -> Iterator[Any]:
        """The objects of a .jsonl file. A half-written last line and damaged lines are left out, with a note."""
        if not path.is_file():
            return
        damaged: list[int] = []
        try:
            for value in read_json_lines(path, damaged):
                if isinstance(value, dict):
                    yield clean(value)
            half_written = damaged and not _ends_a_line(path)
        except (ArtifactError, OSError) as error:
            self.note(path, f"cannot be read to its end ({_reason(error, path)}).")
            return
        if half_written:
            self.note(path, f"ends in a half-written line (line {damaged.pop()}), which was left out.")
        if damaged:
            lines = "line" if len(damaged) == 1 else "lines"
            self.note(path, f"has {len(damaged)} {lines} that cannot be read, the first at {damaged[0]}; left out.")

    def records(self, kind: type[T], path: Path) -> Iterator[T]:
        """The records of a .jsonl file; lines that hold something else are left out, with a note."""
        others = 0
        for value in self.lines(path):
            try:
                yield decode(kind, value, [])
            except Unreadable:
                others += 1
        if others:
            self.note(path, f"has {others} lines that hold something else; left out.")

    def yaml_mapping(self, path: Path) -> dict[str, Json]:
        """The mapping in a YAML file; empty where it cannot be read, with a note."""
        if not path.is_file():
            return {}
        try:
            value = clean(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            self.note(path, f"cannot be read and was left out ({_reason(error, path)}).")
            return {}
        return value if isinstance(value, dict) else {}


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def _reason(error: Exception, path: Path) -> str:
    return " ".join(str(error).removeprefix(f"{path}: ").split())[:160] or type(error).__name__
