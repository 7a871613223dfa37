"""Plain data over a pipe, between the judge and a process that may lie: frames of JSON, tags for what JSON lacks.

Nothing that comes from a program is unpickled, unmarshalled or evaluated. Only exact built-in types come out of `unpack`,
so comparing them runs no foreign code, and how deep, how long and how costly to hash they are is bounded. The other way,
towards a program, orders travel as marshal, which costs its process a tenth of what reading tagged JSON does.
candidate.py, examiner.py and the judge share this file.
"""

import json
import marshal
import os
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any

HEADER = struct.Struct("!I")
READ_BYTES = 1 << 16
# On the control socket, one message each: what the judge orders, and how a program's process has ended.
ORDER = struct.Struct("!cI")  # START_CANDIDATE, START_EXAMINER or END, and the seconds of CPU time it may use
START_CANDIDATE, START_EXAMINER, END = b"c", b"e", b"x"
READY = b"ready"
ENDING = struct.Struct("!i??d")  # exit code or minus the signal, by order, the jail retires, seconds of CPU time used
DEEPEST = 60
LONGEST_INTEGER = 200_000  # hexadecimal digits
# Integers can be chosen to collide in a set, which then takes quadratic time to build; a few thousand do no harm.
HASHED_ENTRIES = 4_000

_DECODER = json.JSONDecoder()
# json.dumps makes an encoder for every message; a small program's replies are mostly that.
_ENCODE: Callable[[Any, int], Iterable[str]] = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, json.JSONEncoder().default, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, False, True
)
_MARSHAL_VERSION = 2  # the last one in which an object that is met twice is written twice

_BASES: tuple[Callable[[Any], Any], ...] = (int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
_PACKED_AS_THEY_ARE = frozenset((bool, float, str, type(None)))
_UNTAGGED = _PACKED_AS_THEY_ARE | {int}
_PLAIN_ATOMS = _UNTAGGED | {complex, bytes}
_PLAIN_GROUPS = frozenset((list, tuple, set, frozenset))
_SMALL = 1 << 62  # integers below it, and above its negative, are written in decimal
_TYPES: dict[str, type] = {
    one.__name__: one for one in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, type(None))
}

Keep = Callable[[Any], int]  # remembers an object that is not plain data, and gives its number
Fetch = Callable[[int], Any]  # the opposite


class WireError(ValueError):
    """What arrived, or was to be sent, is not plain data within the limits."""


class LongFrame(Exception):
    """A message is announced that is longer than messages may be."""


class Opaque:
    """A value that is not plain data. Equal to nothing but itself."""


def pack(value: Any, keep: Keep | None = None, depth: int = 0) -> Any:
    """A value as JSON. Subclasses become what they derive from; `keep` names anything else. Raises WireError."""
    kind = type(value)
    if kind in _PACKED_AS_THEY_ARE:
        return value
    if depth > DEEPEST:
        raise WireError("it is nested too deeply")
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"$": "int", "v": hex(value)}
    if kind is list:
        return _members(value, keep, depth)
    if kind in (tuple, set, frozenset):
        return {"$": kind.__name__, "v": _members(list(value), keep, depth)}
    if kind is dict:
        pairs = [[pack(key, keep, depth + 1), pack(one, keep, depth + 1)] for key, one in value.items()]
        return {"$": "dict", "v": pairs}
    if kind in (bytes, bytearray):
        return {"$": kind.__name__, "v": value.decode("latin-1")}
    if kind is complex:
        return {"$": "complex", "v": [value.real, value.imag]}
    if kind is range:
        return {"$": "range", "v": [value.start, value.stop, value.step]}
    if kind is type and value in _TYPES.values():
        return {"$": "type", "v": value.__name__}
    for base in _BASES:
        if isinstance(value, base):  # type: ignore[arg-type]
            return pack(base(value), keep, depth)
    if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return pack(value.item(), keep, depth + 1)
    if keep is None:
        raise WireError(f"{kind.__name__} is not plain data")
    return {"$": "object", "v": keep(value)}


def _members(values: list[Any], keep: Keep | None, depth: int) -> list[Any]:
    """What is in a list, packed: itself where JSON has all of it as it is."""
    kinds = set(map(type, values))
    if kinds <= _PACKED_AS_THEY_ARE or (kinds == {int} and min(values) > -_SMALL and max(values) < _SMALL):
        return values
    return [pack(one, keep, depth + 1) for one in values]


def is_plain(value: Any) -> bool:
    """Whether a value is of exact built-in types through and through, so that an order can hold it as it is."""
    kind = type(value)
    if kind in _PLAIN_ATOMS:
        return True
    if kind in _PLAIN_GROUPS:
        return _PLAIN_ATOMS.issuperset(map(type, value)) or all(map(is_plain, value))
    return kind is dict and all(map(is_plain, value)) and all(map(is_plain, value.values()))


def operands(value: Any, keep: Keep | None = None) -> tuple[Any, bool]:
    """What a request is about as an order can hold it, and whether it had to be packed for that. Raises WireError."""
    try:
        if is_plain(value):
            return value, False
    except RecursionError:
        pass  # packing says that it is nested too deeply
    return pack(value, keep), True


class Reader:
    """Unpacks one message, counting what goes into sets and dictionaries."""

    def __init__(self, hashed_entries: int = HASHED_ENTRIES, fetch: Fetch | None = None) -> None:
        self.left, self.fetch = hashed_entries, fetch

    def unpack(self, tree: Any) -> Any:
        """The value of a packed tree. Raises WireError for anything that `pack` would not have made."""
        if type(tree) in _UNTAGGED:
            return tree
        if type(tree) is list:
            return self._each(tree)
        if type(tree) is not dict or tree.keys() != {"$", "v"}:
            raise WireError("it is not packed data")
        try:
            return self._tagged(tree["$"], tree["v"])
        except (TypeError, ValueError, OverflowError, MemoryError, RecursionError) as error:
            raise WireError(f"it is not packed data: {error}") from error

    def _tagged(self, tag: Any, inner: Any) -> Any:
        if tag == "tuple":
            return tuple(self._each(inner))
        if tag in ("set", "frozenset"):
            self._count(inner)
            return (set if tag == "set" else frozenset)(self._each(inner))
        if tag == "dict":
            self._count(inner)
            return {self.unpack(key): self.unpack(value) for key, value in inner}
        if tag == "int" and type(inner) is str and len(inner) <= LONGEST_INTEGER:
            return int(inner, 16)
        if tag in ("bytes", "bytearray") and type(inner) is str:
            return (bytes if tag == "bytes" else bytearray)(inner, "latin-1")
        if tag == "complex":
            real, imaginary = map(float, inner)
            return complex(real, imaginary)
        if tag == "range":
            start, stop, step = map(int, inner)
            return range(start, stop, step)
        if tag == "type" and type(inner) is str and inner in _TYPES:
            return _TYPES[inner]
        if tag == "object" and type(inner) is int:
            return Opaque() if self.fetch is None else self.fetch(inner)
        raise WireError("it has an unknown tag")

    def _each(self, inner: Any) -> list[Any]:
        if type(inner) is not list:
            raise WireError("it is not packed data")
        return inner if _UNTAGGED.issuperset(map(type, inner)) else [self.unpack(one) for one in inner]

    def _count(self, inner: Any) -> None:
        self.left -= len(inner)
        if self.left < 0:
            raise WireError("it has too many entries in sets and dictionaries")


def parse(payload: bytes) -> Any:
    """The message in a frame. Raises WireError."""
    try:
        text = payload.decode()
        message, end = _DECODER.raw_decode(text)  # as loads, without guessing the encoding and looking for white space
        if end == len(text):
            return message
        raise WireError("something follows the message")
    except (ValueError, RecursionError, MemoryError) as error:
        raise WireError(f"it is not a message: {error}") from error


def frame_size(received: bytes | bytearray) -> int | None:
    """How long the frame is that has begun to arrive, with its header; None while that is not known."""
    return HEADER.size + HEADER.unpack_from(received)[0] if len(received) >= HEADER.size else None


def frame(message: Any) -> bytes:
    """A message as bytes to send. Raises WireError for what JSON cannot hold."""
    try:
        payload = "".join(_ENCODE(message, 0)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(str(error)) from error
    return HEADER.pack(len(payload)) + payload


def order(message: dict[str, Any]) -> bytes:
    """A message towards a process in the jail as bytes to send; what is in it has to be plain. Raises ValueError."""
    payload = marshal.dumps(message, _MARSHAL_VERSION)
    return HEADER.pack(len(payload)) + payload


CONFINED, LOADED = frame({"confined": True}), frame({"loaded": True})


class Stream:
    """The end of a channel inside the jail, where waiting is all there is to do. Raises OSError when the other has gone."""

    def __init__(self, descriptor: int, most_bytes: int = sys.maxsize) -> None:
        self._descriptor, self._most_bytes, self._received = descriptor, most_bytes, bytearray()

    def send(self, message: bytes) -> None:
        """Write a frame, all of it."""
        written = os.write(self._descriptor, message)
        if written < len(message):
            left = memoryview(message)[written:]
            while left:
                left = left[os.write(self._descriptor, left) :]

    def receive(self) -> Any:
        """The next message; None at the end. Raises ValueError for what is no message, and LongFrame."""
        payload = self._next()
        return None if payload is None else _DECODER.raw_decode(payload.decode())[0]  # loads, without its preparations

    def order(self) -> Any:
        """The next order; None at the end. Only for what does not come from a program."""
        payload = self._next()
        return None if payload is None else marshal.loads(payload)  # noqa: S302  the judge's, or the tests'

    def _next(self) -> bytes | None:
        if not self._received:  # most of the time, what there is to read is one frame
            data = os.read(self._descriptor, READ_BYTES)
            if not data:
                return None
            if frame_size(data) == len(data):
                return data[HEADER.size :]
            self._received += data
        while (size := frame_size(self._received)) is None or len(self._received) < size:
            if size is not None and size > HEADER.size + self._most_bytes:
                raise LongFrame
            data = os.read(self._descriptor, READ_BYTES)
            if not data:
                return None
            self._received += data
        payload = bytes(self._received[HEADER.size : size])
        del self._received[:size]
        return payload
