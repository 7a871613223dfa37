"""The base of recorded classes: one JSON file, or one line of a .jsonl file, with `write` and a tolerant `read`.

Neighbours: core/typed_json.py (how a class becomes JSON), reference.py (the page that lists every class and field).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from alignment.core.errors import ArtifactError
from alignment.core.files import append_json_lines, read_json, read_json_lines, write_json
from alignment.core.typed_json import Unreadable, decode


class FileRecord:
    """A frozen dataclass that is one file on disk. Keys that a reader does not know are ignored."""

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises ArtifactError that names it."""
        write_json(path, self)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file. Raises ArtifactError that names it, and the field, where it is missing or damaged."""
        value = read_json(path)
        try:
            return decode(cls, value)
        except Unreadable as error:
            raise ArtifactError(f"{path}: is damaged: {error}") from error


class LineRecord:
    """A frozen dataclass that is one line of a .jsonl file."""

    def append(self, path: Path) -> None:
        """Add the line to a file. Raises ArtifactError that names it."""
        append_json_lines(path, [self])

    @classmethod
    def read_lines(cls, path: Path) -> Iterator[Self]:
        """The complete lines of a file. Raises ArtifactError for a line that is not such a record."""
        for number, value in enumerate(read_json_lines(path), 1):
            try:
                yield decode(cls, value)
            except Unreadable as error:
                raise ArtifactError(f"{path}: is damaged: line {number}: {error}") from error
