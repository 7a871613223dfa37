"""Parses JSON so that nothing of what a file says is lost: a key that stands twice is a fault, a number keeps its digits.

Python's own parser takes the last of two equal keys and reads 0.10 as 0.1, without a word. Neighbours: formats.py
(files), shapes.py (`text_of` writes a number as its file does).
"""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

_BLOCK = 1 << 20  # characters of an array that are decoded at a time
_SPACE = re.compile(r"[ \t\n\r]*")


class WrittenNumber(float):
    """A number with a point or an exponent that remembers how it is written: `0.10`."""

    text: str

    def __new__(cls, text: str) -> "WrittenNumber":
        """The number that a text is."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is twice in one object")
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=WrittenNumber)


def parse_json(text: bytes) -> tuple[Any, str]:
    """(value, "") of a JSON text, or (None, why it is none)."""
    try:
        return _DECODER.decode(text.decode("utf-8")), ""
    except UnicodeDecodeError as error:
        return None, f"is not UTF-8 text ({error.reason} at byte {error.start})"
    except RecursionError:
        return None, "is not JSON (nested too deeply)"
    except ValueError as error:
        return None, f"is not JSON ({error})"


def array_items(file: BinaryIO) -> Iterator[Any]:
    """The items of a JSON array, one at a time, so that memory holds one item and a block of text.

    Raises ValueError or RecursionError for what is no JSON array, UnicodeDecodeError for what is not UTF-8.
    """
    text = _Text(file)
    text.expect("[")
    if text.next_is("]"):
        text.expect("]")
    else:
        while True:
            yield text.value()
            if text.next_is("]"):
                text.expect("]")
                break
            text.expect(",")
    if text.peek():
        raise ValueError("there is more text behind its array")


class _Text:
    """A file's text, of which only what has not been parsed yet is held."""

    def __init__(self, file: BinaryIO) -> None:
        import codecs

        self._file, self._decoder = file, codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._place, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]  # it matches nothing too
            if self._place < len(self._text) or self._ended:
                return self._text[self._place : self._place + 1]
            self._more()

    def next_is(self, character: str) -> bool:
        """Whether the next character is this one."""
        return self.peek() == character

    def expect(self, character: str) -> None:
        """Pass over a character. Raises ValueError if another is there."""
        found = self.peek()
        if found != character:
            raise ValueError(f"expected {character!r} and found {found!r}" if found else "its text ends too early")
        self._place += 1

    def value(self) -> Any:
        """The value that begins here, whole: one that may go on behind what is held is parsed again with more text."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
                if end < len(self._text) or self._ended:  # a number may go on in the next block
                    self._place = end
                    return value
            except ValueError as error:
                if self._ended or "is twice" in str(error):
                    raise
            self._more()

    def _more(self) -> None:
        block = self._file.read(max(_BLOCK, len(self._text) - self._place))
        self._ended = not block
        self._text, self._place = self._text[self._place :] + self._decoder.decode(block, self._ended), 0
