"""Rows whose text points at an image, a video or a sound in another column, which no stage reads. Neighbour: fields.py (asks)."""

from collections.abc import Mapping, Sequence
from typing import Any

from alignment.core.errors import DataError
from alignment.data.rows import Message

MARKS = {"<image>": ("images", "image"), "<video>": ("videos", "video"), "<audio>": ("audios", "audio")}


def refuse_images(row: Any, messages: Sequence[Message]) -> None:
    """Raise DataError for a row with something to see or hear and a mark for it in its text, which would be trained as a word."""
    if not isinstance(row, Mapping):
        return
    for mark, columns in MARKS.items():
        column = next((name for name in columns if row.get(name, "") not in ("", [])), None)  # bytes are read as null
        if column is not None and any(mark in str(message.get("content")) for message in messages):
            raise DataError(f"its text has {mark} for `{column}`, and only text is trained on; remove the row")
