"""Tool definitions as a row holds them, and whether a call's arguments fit their JSON schema.

verifier.py asks it for every call of an answer, and for the reference itself when a row is read. It covers what tool
definitions are written with: types, required, properties, items, enum, const, anyOf, oneOf, allOf and local $ref, and
the Berkeley leaderboard's names for types. Formats, patterns and ranges are not looked at: the reference's values are.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA_KEYS = ("parameters", "input_schema", "inputSchema")  # as OpenAI, Anthropic and MCP call a tool's arguments
DEEPEST = 40  # levels of schema or value that are followed; tool definitions have a handful

# The JSON type behind each name that definitions in the field use; "any" and unknown names fit everything.
TYPE_NAMES: dict[str, str] = {
    "object": "object", "dict": "object", "hashmap": "object",
    "array": "array", "list": "array", "tuple": "array",
    "string": "string", "str": "string", "char": "string",
    "integer": "integer", "int": "integer", "long": "integer",
    "number": "number", "float": "number", "double": "number",
    "boolean": "boolean", "bool": "boolean",
    "null": "null", "none": "null",
}  # fmt: skip


@dataclass(frozen=True)
class Misfit:
    """Why an argument does not fit: the reason of a verdict, the argument's path, and what was expected."""

    reason: str
    argument: str
    expected: str = ""

    @property
    def top(self) -> str:
        """The argument itself, where the misfit is somewhere inside it."""
        return self.argument.split(".")[0].split("[")[0]


@dataclass(frozen=True)
class Tool:
    """One function that may be called, with the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The schema of each argument, by name."""
        return _mapping(self.parameters.get("properties"))

    @property
    def required(self) -> Sequence[str]:
        """The arguments that every call has to give."""
        return _names(self.parameters.get("required"))

    def is_default(self, name: str, value: Any) -> bool:
        """Whether a value is what a call that leaves the argument out would mean."""
        schema = _resolved(self.properties.get(name), self.parameters)
        if "default" not in schema:
            return False
        default = schema["default"]
        numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (default, value))
        return (numbers or type(default) is type(value)) and bool(default == value)

    def argument_misfits(self, name: str, value: Any) -> list[Misfit]:
        """In what one argument's value does not fit; empty for an argument that is not declared."""
        return list(_value_misfits(value, self.properties.get(name), self.parameters, name, DEEPEST))

    def misfits(self, arguments: Mapping[str, Any]) -> list[Misfit]:
        """Everything in which arguments do not fit the schema. An argument that is not declared is a misfit."""
        return list(_object_misfits(arguments, self.parameters, self.parameters, "", DEEPEST))


def read_json(value: Any) -> Any:
    """A column's value, parsed where it is JSON text. Raises ValueError for text that is not JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_tools(value: Any) -> dict[str, Tool] | None:
    """The tools of a row by name, from a list in OpenAI form or its JSON text; None when it is something else.

    An empty list is a row without tools. One that is listed twice in the same words is there once.
    """
    try:
        listed = read_json(value)
    except ValueError:
        return None
    if not isinstance(listed, (list, tuple)):
        return None
    tools: dict[str, Tool] = {}
    for entry in listed:
        function = entry.get("function", entry) if isinstance(entry, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not function["name"]:
            return None
        schema = next(filter(None, map(function.get, SCHEMA_KEYS)), None)
        tool = Tool(function["name"], _mapping(schema))
        if tools.setdefault(tool.name, tool) != tool:
            return None  # two definitions under one name: which one a call means is unknown
    return tools


def _object_misfits(
    value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], path: str, depth: int
) -> Iterator[Misfit]:
    properties = _mapping(schema.get("properties"))
    for name in _names(schema.get("required")):
        if name not in value:
            yield Misfit("missing_argument", f"{path}{name}")
    others = schema.get("additionalProperties")
    for name, item in value.items():
        if properties.get(name) is not None:
            yield from _value_misfits(item, properties[name], root, f"{path}{name}", depth - 1)
        elif isinstance(others, Mapping):
            yield from _value_misfits(item, others, root, f"{path}{name}", depth - 1)
        elif others is not True and (properties or not path):  # a bare "object" inside may hold anything
            yield Misfit("unknown_argument", f"{path}{name}")


def _value_misfits(value: Any, schema: Any, root: Mapping[str, Any], path: str, depth: int) -> Iterator[Misfit]:
    """In what a value does not fit a schema; `root` is where local references are looked up."""
    schema = _resolved(schema, root)
    if depth <= 0 or not schema:
        return
    for part in _schemas(schema.get("allOf")):
        yield from _value_misfits(value, part, root, path, depth - 1)
    choices = _schemas(schema.get("anyOf")) or _schemas(schema.get("oneOf"))
    if choices:
        found = [list(_value_misfits(value, choice, root, path, depth - 1)) for choice in choices]
        if all(found):
            yield from min(found, key=len)
        return
    names = schema.get("type") or "any"  # a table writes null for a type that is not given
    types = [TYPE_NAMES.get(str(name).lower()) for name in (names if isinstance(names, (list, tuple)) else [names])]
    if schema.get("nullable") is True and value is None:
        return
    if None not in types and not any(_has_type(value, str(one)) for one in types):
        yield Misfit("wrong_type", path, " or ".join(map(str, types)))
        return
    listed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(listed, (list, tuple)) and value not in listed:
        yield Misfit("wrong_value", path, f"one of {json.dumps(list(listed), ensure_ascii=False, default=str)[:200]}")
    if isinstance(value, Mapping):
        yield from _object_misfits(value, schema, root, f"{path}.", depth)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _value_misfits(item, schema.get("items"), root, f"{path}[{index}]", depth - 1)


def _has_type(value: Any, name: str) -> bool:
    """Whether a JSON value has a type; 5.0 is an integer and 5 a number, and true is neither."""
    if isinstance(value, bool):
        return name == "boolean"
    if isinstance(value, int):
        return name in ("integer", "number")
    if isinstance(value, float):
        return name == "number" or (name == "integer" and value.is_integer())
    held = {str: "string", list: "array", dict: "object", type(None): "null"}
    return held.get(type(value)) == name


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema with its local reference (`#/$defs/NAME`) followed; an unresolvable one allows everything."""
    for _ in range(DEEPEST):
        found = _mapping(schema)
        target = found.get("$ref")
        if not isinstance(target, str):
            return found
        schema = root
        for step in target.removeprefix("#").strip("/").split("/"):
            schema = _mapping(schema).get(step) if step else schema
    return {}


def _names(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, (list, tuple)) else []


def _schemas(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
