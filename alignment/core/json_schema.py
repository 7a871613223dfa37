"""What a recorded class says in JSON Schema. Neighbours: typed_json.py (how its values are written)."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from alignment.core.statistics.estimate import Estimate
from alignment.core.typed_json import described

DRAFT = "https://json-schema.org/draft/2020-12/schema"
NUMBER = {"type": ["number", "null"]}
_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}
Schema = dict[str, Any]  # a schema is JSON by nature


def json_schema(kind: type) -> Schema:
    """The schema of a class, with one definition for each class inside it. Keys that are added later are allowed."""
    definitions: dict[str, Schema] = {}
    whole = _object(kind, definitions)
    return {"$schema": DRAFT, **whole, "$defs": dict(sorted(definitions.items()))}


def _object(kind: Any, definitions: dict[str, Schema]) -> Schema:
    keys, rest = _properties(kind, definitions)
    found: Schema = {"type": "object", "description": str(kind.__doc__).split("\n", maxsplit=1)[0], "required": list(keys),
                     "properties": keys}  # fmt: skip
    return found | ({"additionalProperties": rest} if rest is not None else {})


def _properties(kind: Any, definitions: dict[str, Schema]) -> tuple[dict[str, Schema], Schema | None]:
    """The schema of each key, those of inline classes among them, and of every other key where a mapping is inline."""
    keys: dict[str, Schema] = {}
    rest: Schema | None = None
    for one in described(kind):
        if one.inline and is_dataclass(one.kind):
            inner, inner_rest = _properties(one.kind, definitions)
            keys, rest = keys | inner, inner_rest or rest
        elif one.inline:
            rest = _value(get_args(one.kind)[1], definitions)
        elif one.kind is Estimate:
            low, high = (f"{end} end of its interval at 95%" for end in ("lower", "upper"))
            sentences = (one.sentence, low, high)
            keys |= {key: NUMBER | {"description": said} for key, said in zip(one.keys, sentences, strict=True)}
        else:
            keys[one.name] = _value(one.kind, definitions) | {"description": one.sentence}
    return keys, rest


def _value(kind: Any, definitions: dict[str, Schema]) -> Schema:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin in (Union, UnionType):
        inner = _value(next(one for one in arguments if one is not type(None)), definitions)
        plain = set(inner) == {"type"} and isinstance(inner["type"], str)
        return {"type": [inner["type"], "null"]} if plain else {"oneOf": [{"type": "null"}, inner]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0], definitions)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        names = {} if arguments[0] is str else {"propertyNames": _value(arguments[0], definitions)}
        return {"type": "object", **names, "additionalProperties": _value(arguments[1], definitions)}
    if is_dataclass(kind):
        name = getattr(kind, "__name__", "")
        if name not in definitions:
            definitions[name] = {}  # so that a class that holds itself ends
            definitions[name] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{name}"}
    return {"type": _TYPES[kind]}
