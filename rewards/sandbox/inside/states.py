"""Runs a program statement by statement, and describes the values of its names after each. In the candidate's process.

Each description is sent before the next statement runs, so that a program that hangs later leaves those before. A program
can change all of this, its own `repr` first of all; ../states.py therefore takes it as text in bounds and believes nothing.
"""

import __future__

import ast
import types
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

MOST_NAMES, LONGEST_NAME, LONGEST_VALUE = 16, 40, 80
_MOST_ITEMS, _DEEPEST, _LONGEST_INTEGER = 8, 3, 256  # items of a collection, levels, bits
_FUTURE = 0
for _name in __future__.all_feature_names:
    _FUTURE |= getattr(__future__, _name).compiler_flag
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}"), frozenset: ("frozenset({", "})"), dict: ("{", "}"),
}  # fmt: skip
# A name for one of these says what the program can do, and not how far it has come.
_NOT_DATA = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)


def statements(source: str) -> Iterator[types.CodeType]:
    """The code of each statement of the top level, with what the program imported from __future__. Raises SyntaxError."""
    flags = 0
    for statement in ast.parse(source).body:
        module = ast.Module([statement], [])
        code = compile(module, "<program>", "exec", flags=flags, dont_inherit=True)
        flags |= code.co_flags & _FUTURE
        yield code


def described(namespace: dict[str, Any]) -> list[list[str]]:
    """`[name, value]` of the last names that hold data, values cut."""
    found = [name for name, value in list(namespace.items()) if _is_data(name, value)]
    return [[name, _value(namespace[name])[:LONGEST_VALUE]] for name in found[-MOST_NAMES:]]


def _is_data(name: Any, value: Any) -> bool:
    return type(name) is str and not name.startswith("_") and not isinstance(value, _NOT_DATA)


def _value(value: Any, level: int = 0) -> str:
    """A value in about LONGEST_VALUE characters; built-in collections are not walked further than that."""
    kind = type(value)
    if kind is int and value.bit_length() > _LONGEST_INTEGER:
        return f"<int of {value.bit_length()} bits>"
    if kind in (str, bytes, bytearray):
        return repr(value[:LONGEST_VALUE])
    if kind in _BRACKETS:
        opening, closing = _BRACKETS[kind]
        if level == _DEEPEST:
            return f"{opening}...{closing}"
        return f"{opening}{', '.join(_items(value, level))}{closing}"
    try:
        text = repr(value)
    except BaseException as error:  # noqa: BLE001  what a value says about itself is a program's own code
        return f"<{kind.__name__}, whose repr raised {type(error).__name__}>"
    return str.__getitem__(text, slice(LONGEST_VALUE))


def _items(value: Any, level: int) -> Iterable[str]:
    if type(value) is dict:
        for key, one in islice(value.items(), _MOST_ITEMS):
            yield f"{_value(key, level + 1)}: {_value(one, level + 1)}"
    else:
        for one in islice(value, _MOST_ITEMS):
            yield _value(one, level + 1)
    if len(value) > _MOST_ITEMS:
        yield f"... {len(value)} in all"
