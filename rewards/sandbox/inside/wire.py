"""Plain data over a pipe, between the judge and a process that may lie: frames of JSON, tags for what JSON lacks.

Nothing is unpickled or evaluated. Only exact built-in types come out of `unpack`, so comparing them runs no foreign
code, and how deep, how long and how costly to hash they are is bounded. candidate.py, examiner.py and the judge share
this file.
"""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct("!I")
DEEPEST = 60
LONGEST_INTEGER = 200_000  # hexadecimal digits
# Integers can be chosen to collide in a set, which then takes quadratic time to build; a few thousand do no harm.
HASHED_ENTRIES = 4_000

_BASES: tuple[Callable[[Any], Any], ...] = (int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
_TYPES: dict[str, type] = {
    one.__name__: one for one in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict, type(None))
}

Keep = Callable[[Any], int]  # remembers an object that is not plain data, and gives its number
Fetch = Callable[[int], Any]  # the opposite


class WireError(ValueError):
    """What arrived, or was to be sent, is not plain data within the limits."""


class Opaque:
    """A value that is not plain data. Equal to nothing but itself."""


def pack(value: Any, keep: Keep | None = None, depth: int = 0) -> Any:
    """A value as JSON. Subclasses become what they derive from; `keep` names anything else. Raises WireError."""
    kind = type(value)
    if value is None or kind in (bool, float, str):
        return value
    if depth > DEEPEST:
        raise WireError("it is nested too deeply")
    if kind is int:
        return value if -(1 << 62) < value < 1 << 62 else {"$": "int", "v": hex(value)}
    if kind is list:
        return [pack(one, keep, depth + 1) for one in value]
    if kind in (tuple, set, frozenset):
        return {"$": kind.__name__, "v": [pack(one, keep, depth + 1) for one in value]}
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


class Reader:
    """Unpacks one message, counting what goes into sets and dictionaries."""

    def __init__(self, hashed_entries: int = HASHED_ENTRIES, fetch: Fetch | None = None) -> None:
        self.left, self.fetch = hashed_entries, fetch

    def unpack(self, tree: Any) -> Any:
        """The value of a packed tree. Raises WireError for anything that `pack` would not have made."""
        if tree is None or type(tree) in (bool, int, float, str):
            return tree
        if type(tree) is list:
            return [self.unpack(one) for one in tree]
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
        return [self.unpack(one) for one in inner]

    def _count(self, inner: Any) -> None:
        self.left -= len(inner)
        if self.left < 0:
            raise WireError("it has too many entries in sets and dictionaries")


def parse(payload: bytes) -> Any:
    """The message in a frame. Raises WireError."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError, MemoryError) as error:
        raise WireError(f"it is not a message: {error}") from error


def frame(message: Any) -> bytes:
    """A message as bytes to send. Raises WireError for what JSON cannot hold."""
    try:
        payload = json.dumps(message).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(str(error)) from error
    return HEADER.pack(len(payload)) + payload


def receive(connection: socket.socket) -> Any:
    """The next message, waiting for it; None at the end. For the inside, where waiting is all there is to do."""
    header = _exactly(connection, HEADER.size)
    if header is None:
        return None
    payload = _exactly(connection, HEADER.unpack(header)[0])
    return None if payload is None else json.loads(payload)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        data = connection.recv(min(size - len(received), 1 << 20))
        if not data:
            return None
        received += data
    return bytes(received)
