"""The reference calls of a row, and whether a call's values are among those that a reference accepts.

Two forms of reference are read. The Berkeley leaderboard's, `{name: {argument: [acceptable, ...]}}`, where "" among the
acceptable values lets an optional argument be left out, and nested objects hold lists in turn; and the plain one,
`{"name": ..., "arguments": {...}}`, with one value each. Neighbours: verifier.py (verdicts), schema.py (types).
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.kinds.tool_call.schema import Misfit, Tool, read_json

LEFT_OUT = ""  # among the acceptable values: the argument need not be given

_SEPARATORS = re.compile(r"[\s,.]+")
_JOINED = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
# What shows that a text is a name, a path, a pattern or a program, in which every sign and capital counts.
_EXACT = re.compile(
    r"[=^$\\{}\[\]<>|*@#~;_`]|[a-z0-9][A-Z]|[^\W\d_]{2}\.[^\W\d_]|[^\W\d_]\.[^\W\d_]{2}|[a-z]\.[a-z]|//|\w/\w+/\w|^[a-z]{2,3}-[A-Z]{2,4}$"
)
_INITIALS = re.compile(r"(?:\b[A-Z]\.){2,}")


@dataclass(frozen=True)
class ExpectedCall:
    """One call that has to be made. `nested`: objects inside the values hold lists of acceptable values too."""

    name: str
    arguments: Mapping[str, tuple[Any, ...]]
    nested: bool

    def accepts(self, argument: str, value: Any) -> bool:
        """Whether a value is one that the reference accepts for an argument."""
        values = self.arguments.get(argument, ())
        if argument in self.arguments and not values:
            return value is None or value in ([], {}, "")
        return any(_equal(value, one, self.nested) for one in values)

    def accepts_for(self, tool: Tool, argument: str, value: Any) -> bool:
        """`accepts`; and where none of the reference's values has the type that the tool asks for, one that is spelt alike.

        So where a tool wants "True" or "2" and the reference says true or 2, a call is right in either way.
        """
        if self.accepts(argument, value):
            return True
        wanted = [one for one in self.arguments.get(argument, ()) if one != LEFT_OUT]
        if not wanted or tool.argument_misfits(argument, value):
            return False
        return all(tool.argument_misfits(argument, one) for one in wanted) and any(
            _spelt(value) is not None and _spelt(value) == _spelt(one) for one in wanted
        )

    def overrides(self, misfit: Misfit, arguments: Mapping[str, Any]) -> bool:
        """Whether the reference accepts what the tool's schema does not: where the two differ, the reference decides.

        An enum may have forgotten a value, a type may be another, and an object may hold what it does not declare. Only
        an argument that the tool does not have, or that it requires and the reference does not name, leaves no right call.
        """
        name = misfit.top
        if misfit.reason == "missing_argument" and misfit.argument == name:
            return name in self.arguments and not self.arguments[name]
        if misfit.reason == "unknown_argument" and misfit.argument == name:
            return False
        return name in arguments and name in self.arguments and self.accepts(name, arguments[name])

    def may_omit(self, argument: str) -> bool:
        """Whether the reference accepts a call without an argument: it says so, or names no value for it."""
        return argument in self.arguments and (LEFT_OUT in self.arguments[argument] or not self.arguments[argument])

    def gold(self, tool: Tool) -> dict[str, Any]:
        """The call as a reference answer would make it: of each argument the first value that the tool takes."""
        arguments = {}
        for name, values in self.arguments.items():
            if self.may_omit(name) and tool.properties and name not in tool.properties:
                continue
            chosen = [_first(one, self.nested) for one in values if one != LEFT_OUT]
            fitting = [one for one in chosen if not tool.argument_misfits(name, one)]
            if fitting or (chosen and not self.may_omit(name)):
                arguments[name] = (fitting or chosen)[0]
            elif name in tool.required and values:
                arguments[name] = LEFT_OUT
        return {"name": self.name, "arguments": arguments}


def _spelt(value: Any) -> str | None:
    """A number, a boolean or a text as text without case; None for anything else."""
    return str(value).casefold() if isinstance(value, (str, int, float)) else None


def read_calls(value: Any) -> list[ExpectedCall] | None:
    """The reference calls of a row, from a list or its JSON text; None when it is something else. Empty: no call."""
    try:
        listed = read_json(value)
        return [_read_call(entry) for entry in listed] if isinstance(listed, (list, tuple)) else None
    except ValueError:
        return None


def reference_fault(tools: Mapping[str, Tool], calls: Sequence[ExpectedCall]) -> str | None:
    """Why a reference can never be met with its own tools, or None."""
    for call in calls:
        if call.name not in tools:
            return f"it calls {call.name!r}, which is not among the tools"
        gold = call.gold(tools[call.name])["arguments"]
        misfits = [one for one in tools[call.name].misfits(gold) if not call.overrides(one, gold)]
        if misfits:
            return f"its call of {call.name!r} has {misfits[0].reason} {misfits[0].argument!r}"
    return None


def _read_call(entry: Any) -> ExpectedCall:
    """One reference call. Raises ValueError when it is neither form."""
    if isinstance(entry, Mapping) and isinstance(entry.get("function"), Mapping) and "name" in entry["function"]:
        entry = entry["function"]
    if not isinstance(entry, Mapping):
        raise ValueError("a reference call is a mapping")
    if isinstance(entry.get("name"), str) and set(entry) <= {"name", "arguments"}:
        arguments = read_json(entry.get("arguments") or {})
        if not isinstance(entry["name"], str) or not isinstance(arguments, Mapping):
            raise ValueError("a plain reference call has a name and a mapping of arguments")
        return ExpectedCall(entry["name"], {name: (value,) for name, value in arguments.items()}, nested=False)
    if len(entry) != 1:
        raise ValueError("a reference call names one function")
    ((name, acceptable),) = entry.items()
    if not isinstance(acceptable, Mapping) or not all(isinstance(v, (list, tuple)) for v in acceptable.values()):
        raise ValueError("each argument has a list of acceptable values")
    # Of an argument without acceptable values nothing is asked but to leave it out, or empty.
    return ExpectedCall(name, {argument: tuple(values) for argument, values in acceptable.items()}, nested=True)


def _equal(given: Any, wanted: Any, nested: bool) -> bool:
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    if isinstance(given, str) and isinstance(wanted, str):
        if given == wanted or given.strip() == wanted.strip():
            return True
        if _EXACT.search(wanted) and not _INITIALS.search(wanted):
            return False
        return bool(_plain(given)) and _plain(given) == _plain(wanted)
    if isinstance(given, (int, float)) and isinstance(wanted, (int, float)):
        return given == wanted
    if isinstance(given, list) and isinstance(wanted, (list, tuple)):
        return len(given) == len(wanted) and all(_equal(a, b, nested) for a, b in zip(given, wanted, strict=True))
    if isinstance(given, Mapping) and isinstance(wanted, Mapping):
        return _equal_objects(given, wanted, nested)
    return given is None and wanted is None


def _equal_objects(given: Mapping[str, Any], wanted: Mapping[str, Any], nested: bool) -> bool:
    if not nested:
        return given.keys() == wanted.keys() and all(_equal(given[key], wanted[key], nested) for key in wanted)
    choices = {key: values if isinstance(values, (list, tuple)) else [values] for key, values in wanted.items()}
    if not given.keys() <= choices.keys():
        return False
    missing = choices.keys() - given.keys()
    return all(LEFT_OUT in choices[key] for key in missing) and all(
        any(_equal(value, one, nested) for one in choices[key]) for key, value in given.items()
    )


def _first(value: Any, nested: bool) -> Any:
    """A nested reference value with the first acceptable one chosen everywhere."""
    if isinstance(value, (list, tuple)):
        return [_first(item, nested) for item in value]
    if not isinstance(value, Mapping) or not nested:
        return value
    lists = {key: values if isinstance(values, (list, tuple)) else [values] for key, values in value.items()}
    chosen = {key: [one for one in values if one != LEFT_OUT] for key, values in lists.items()}
    return {key: _first(values[0], nested) for key, values in chosen.items() if values}


def _plain(text: str) -> str:
    """Text without what two writers of one value differ in: case, kind of quotes, and separators beside letters.

    A name, a path or a piece of a program is not compared so (_EXACT): `main.py` is not `mainpy`.

    Narrower than the Berkeley leaderboard's, which drops operators and decimal points too: there `2*3` is `23`.
    """
    text = unicodedata.normalize("NFC", text).casefold().replace("’", "'").replace("‘", "'").replace('"', "'")
    text = text.strip().rstrip(" .,")
    return _JOINED.sub("", _SEPARATORS.sub(_kept, text))


def _kept(run: re.Match[str]) -> str:
    """What is left of a run of separators: nothing beside a letter; between digits it is part of the value."""
    text, beside = run.string, (run.start() - 1, run.end())
    if any(0 <= place < len(text) and text[place].isalpha() for place in beside):
        return ""
    return "".join(run[0].split()) or " "
