"""Frozen dataclasses as JSON and back: the one coding of every file that a run leaves, and of report.json.

A field is written `name: Annotated[type, "its sentence"]`; the sentence goes into docs/run-directory.md and the schema.
An Estimate stands on disk under three keys (NAME, NAME_low, NAME_high); an INLINE field's keys stand among its owner's.
Reading ignores keys it does not know and takes a missing optional field as None. Neighbours: records/ (the classes),
files.py (how JSON gets onto a disk), json_schema.py (what the classes say in JSON Schema).
"""

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from alignment.core.statistics.estimate import Estimate

if TYPE_CHECKING:
    Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
else:
    Json = Any

T = TypeVar("T")
INLINE = object()  # in a field's Annotated: its keys stand among those of the class that holds it
LARGEST = 1e300  # beyond it, and for NaN, a recorded number is not a measurement
Damage = list[str]  # a sentence for each thing that was left out
Reader = Callable[[Any, Damage | None], Any]
LOST = "items"  # until the field that holds them has given its name
_DESCRIBED: dict[Any, "tuple[Described, ...]"] = {}
_READERS: dict[Any, Reader] = {}
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class Unreadable(ValueError):
    """A JSON value is not what a class holds. Says at which place, and what is needed there."""

    def __init__(self, fault: str, place: str = "") -> None:
        super().__init__(f"{place}{fault if fault.startswith(' ') else f': {fault}'}" if place else fault.strip())
        self.fault, self.place = fault, place

    def under(self, name: object) -> "Unreadable":
        """The same, with the place as it is called one level further out."""
        return Unreadable(self.fault, f"{name}.{self.place}".rstrip("."))


@dataclass(frozen=True)
class Described:
    """A field of a recorded class: its name, its type without annotations, its sentence and its default."""

    name: str
    kind: Any
    sentence: str
    inline: bool
    default: Any  # MISSING where it has to be there

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys under which the field stands in JSON."""
        return tuple(f"{self.name}{end}" for end in ("", "_low", "_high")) if self.kind is Estimate else (self.name,)


def described(kind: Any) -> tuple[Described, ...]:
    """The fields of a dataclass in order. An optional field without a default has the default None."""
    if kind not in _DESCRIBED:
        hints = get_type_hints(kind, include_extras=True)
        _DESCRIBED[kind] = tuple(
            _described(one.name, hints[one.name], one.default, one.default_factory) for one in fields(kind)
        )
    return _DESCRIBED[kind]


def _described(name: str, hint: Any, default: Any, factory: Any) -> Described:
    inner, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if factory is not MISSING:
        default = factory()
    if Estimate in get_args(inner):
        raise TypeError(f"{name}: an Estimate is unknown where its value is; write `Estimate` with the default UNKNOWN")
    if default is MISSING and type(None) in get_args(inner):
        default = None
    return Described(
        name, inner, next((str(note) for note in notes if note is not INLINE), ""), INLINE in notes, default
    )


def encode(value: object) -> Any:
    """A value as JSON has it: dataclasses and mappings as objects, sequences as arrays. Raises TypeError for others."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _encoded(value)
    if isinstance(value, Mapping):
        return {str(name): encode(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encode(inner) for inner in value]
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _encoded(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in described(type(value)):
        inner = getattr(value, one.name)
        if one.inline:
            found |= encode(inner)
        elif one.kind is Estimate:
            found |= dict(zip(one.keys, (inner.value, inner.low, inner.high), strict=True))
        else:
            found[one.name] = encode(inner)
    return found


def decode(kind: type[T], value: object, damage: Damage | None = None) -> T:
    """The value of a class that JSON holds. Raises Unreadable where it holds something else.

    With `damage`, what can be spared is: an optional field that cannot be read is None, an item of a list or mapping is
    left out, and a sentence for each goes into `damage`. Without, nothing is spared.
    """
    read: T = _reader_of(kind)(value, damage)
    return read


def _reader_of(kind: Any) -> Reader:
    """The function that reads one type: (value, damage) -> value. Made once."""
    if kind not in _READERS:
        _READERS[kind] = _new_reader(kind)
    return _READERS[kind]


def _new_reader(kind: Any) -> Reader:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value, damage: value
    if origin is Annotated:
        return _reader_of(arguments[0])
    if origin in (Union, types.UnionType):
        return _optional(_reader_of(next(one for one in arguments if one is not type(None))))
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _items(_reader_of(arguments[0]))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_reader_of(arguments[0]), _reader_of(arguments[1]))
    return _dataclass(kind) if is_dataclass(kind) else _plain(kind)


def _optional(inner: Reader) -> Reader:
    return lambda value, damage: None if value is None else inner(value, damage)


def _plain(kind: type) -> Reader:
    def read(value: Any, damage: Damage | None) -> Any:
        if type(value) is kind:
            return value
        number = kind in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
        if number and (kind is float or float(value).is_integer()):
            return kind(value)
        raise _unreadable(_WORDS[kind], value)

    return read


def _literal(allowed: tuple[Any, ...]) -> Reader:
    def read(value: Any, damage: Damage | None) -> Any:
        if isinstance(value, str | int) and value in allowed:
            return value
        raise _unreadable(f"one of {', '.join(map(str, allowed))}", value)

    return read


def _items(item: Reader) -> Reader:
    def read(value: Any, damage: Damage | None) -> Any:
        if not isinstance(value, list | tuple):
            raise _unreadable("a list", value)
        return tuple(_spared(enumerate(value), item, damage).values())

    return read


def _mapping(key: Reader, item: Reader) -> Reader:
    def read(value: Any, damage: Damage | None) -> Any:
        if not isinstance(value, Mapping):
            raise _unreadable("an object", value)
        return _spared(((key(name, damage), one) for name, one in value.items()), item, damage)

    return read


def _spared(pairs: Iterable[tuple[Any, Any]], item: Reader, damage: Damage | None) -> dict[Any, Any]:
    """The items that can be read, by key; how many could not goes into `damage`, without which none may."""
    found, lost = {}, 0
    for key, one in pairs:
        try:
            found[key] = item(one, damage)
        except Unreadable as error:
            if damage is None:
                raise error.under(key) from error
            lost += 1
    if lost and damage is not None:
        damage.append(f"has {lost} {LOST} that cannot be read, which were left out.")
    return found


def _dataclass(kind: Any) -> Reader:
    parts = described(kind)
    own = _keys_of(kind)

    def read(value: Any, damage: Damage | None) -> Any:
        if not isinstance(value, Mapping):
            raise _unreadable("an object", value)
        found = {one.name: _field(one, value, own, damage) for one in parts}
        try:
            return kind(**found)
        except ValueError as error:  # what __post_init__ of the class refuses
            raise Unreadable(str(error)) from error

    return read


def _keys_of(kind: Any) -> set[str]:
    """The keys of a class, those of its inline classes among them."""
    own = {key for one in described(kind) if not one.inline for key in one.keys}
    return own.union(*(_keys_of(one.kind) for one in described(kind) if one.inline and is_dataclass(one.kind)))


def _field(one: Described, value: Mapping[str, Any], own: set[str], damage: Damage | None) -> Any:
    if one.inline:
        if not is_dataclass(one.kind):  # a mapping takes the keys of no field; what does not fit is nobody's
            return _reader_of(one.kind)({key: held for key, held in value.items() if key not in own}, [])
        return _reader_of(one.kind)(value, damage)
    if one.name not in value:
        if one.default is MISSING:
            raise Unreadable(" is missing", one.name)
        return one.default
    before = 0 if damage is None else len(damage)
    try:
        return _estimate(one, value) if one.kind is Estimate else _reader_of(one.kind)(value[one.name], damage)
    except Unreadable as error:
        if damage is None or one.default is MISSING:
            raise error.under(one.name) from error
        damage.append(f"holds something else at {error.under(one.name)}; it was left out.")
        return one.default
    finally:
        if damage is not None:  # the items that a list has lost are called by the list's name
            damage[before:] = [sentence.replace(LOST, one.name) for sentence in damage[before:]]


def _estimate(one: Described, value: Mapping[str, Any]) -> Estimate:
    number = _reader_of(float | None)
    return Estimate(*(number(value.get(key), None) for key in one.keys))


def clean(value: Any) -> Any:
    """The same JSON value with lone surrogates replaced by `?` and NaN and infinities by None, at every depth."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float):
        return value if math.isfinite(value) and abs(value) < LARGEST else None
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < LARGEST else None
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    return value


def _unreadable(wanted: str, value: object) -> Unreadable:
    found = " ".join(repr(value).split())
    return Unreadable(f"found {found[:60]}, and {wanted} is needed")
