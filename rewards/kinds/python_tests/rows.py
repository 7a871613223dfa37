"""A dataset row's `tests` read as what the sandbox examines, and how a program is spelt that continues its prompt.

verifier.py judges with both. A row that cannot be read is refused with a reason: it has no verdict, never a zero.
The forms: `stdio`, `calls`, `asserts` and `humaneval`; docs/rewards.md has their fields.
"""

import ast
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewards.kinds.python_tests.modules import missing_module
from rewards.kinds.python_tests.objects import ALIASES, COMPARATORS, objects_needed
from rewards.kinds.python_tests.program import dedented
from rewards.sandbox.examination import Asserts, Calls, StandardStreams, Tests
from rewards.sandbox.inside.wire import WireError
from rewards.sandbox.plain import call, free_names, plain_asserts, plain_check

# Each form and its fields, those that may be missing too.
FORMS: dict[str, tuple[str, ...]] = {
    "stdio": ("inputs", "outputs"),
    "calls": ("entry_point", "calls", "outputs", "tolerance"),
    "asserts": ("asserts", "setup"),
    "humaneval": ("prompt", "test", "entry_point"),
}


class UnreadableTests(ValueError):
    """A row's tests that cannot be read; says what to write instead."""


@dataclass(frozen=True)
class Row:
    """What is to be examined, and for a `humaneval` row what its program continues."""

    tests: Tests
    prompt: str = ""
    entry_point: str = ""

    @property
    def wanted(self) -> frozenset[str]:
        """What the tests expect the program to define."""
        if isinstance(self.tests, Calls):
            return frozenset(one.target for one in self.tests.calls)
        return self.tests.names if isinstance(self.tests, Asserts) else frozenset()


def read_row(value: Any) -> Row:
    """A row's tests, from a mapping or its JSON text. Raises UnreadableTests."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise UnreadableTests(f"`tests` is text but not JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise UnreadableTests(f"`tests` must be a mapping with a `form`, not {type(value).__name__}")
    given = {name: one for name, one in value.items() if one is not None}  # tables fill what a form does not have
    readers = {"stdio": _stdio, "calls": _calls, "asserts": _asserts, "humaneval": _humaneval}
    if given.get("form") not in FORMS:
        raise UnreadableTests(f"`form` must be one of {', '.join(FORMS)}, not {given.get('form')!r}")
    try:
        row = readers[given["form"]](given)
    except KeyError as error:
        raise UnreadableTests(f"form `{given['form']}` needs {error}") from error
    except (SyntaxError, WireError, TypeError, RecursionError) as error:
        raise UnreadableTests(f"form `{given['form']}` cannot be read: {error}") from error
    if not row.tests.total:
        raise UnreadableTests("there is not one test in it")
    return row


def _stdio(given: Mapping[str, Any]) -> Row:
    inputs, outputs = _texts(given["inputs"], "inputs"), _texts(given["outputs"], "outputs")
    if len(inputs) != len(outputs):
        raise UnreadableTests(f"there are {len(inputs)} inputs and {len(outputs)} outputs")
    return Row(StandardStreams(inputs, outputs))


def _calls(given: Mapping[str, Any]) -> Row:
    calls, outputs, tolerance = given["calls"], given["outputs"], given.get("tolerance")
    if len(calls) != len(outputs):
        raise UnreadableTests(f"there are {len(calls)} calls and {len(outputs)} outputs")
    if tolerance is not None and not (isinstance(tolerance, (int, float)) and tolerance >= 0):
        raise UnreadableTests(f"`tolerance` must be a number from 0 on, not {tolerance!r}")
    made = []
    for one, expected in zip(calls, outputs, strict=True):
        if isinstance(one, Mapping):
            positional, named = one.get("arguments") or [], dict(one.get("named") or {})
        elif isinstance(one, (list, tuple)):
            positional, named = list(one), {}
        else:
            raise UnreadableTests(f"a call is a list of arguments, or `arguments` and `named`; not {one!r}")
        made.append(call(_name(given["entry_point"]), positional, named, expected))
    return Row(Calls(tuple(made), tolerance, from_json=True))


def _asserts(given: Mapping[str, Any]) -> Row:
    asserts, setup = _texts(given["asserts"], "asserts"), str(given.get("setup", ""))
    plain = plain_asserts(asserts, setup)
    if plain is not None:
        return Row(Calls(plain))
    return Row(_run(asserts, setup, free_names([setup, *asserts])))


def _humaneval(given: Mapping[str, Any]) -> Row:
    prompt, test, entry_point = str(given["prompt"]), str(given["test"]), _name(given["entry_point"])
    prelude = stub(prompt)
    ast.parse(prelude)
    if not any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in ast.parse(test).body):
        raise UnreadableTests("`test` must define check(candidate)")
    _refuse_without_modules([prelude])
    plain = plain_check(test, entry_point)
    if plain is not None:
        return Row(Calls(plain), prompt, entry_point)
    remote = {"candidate": entry_point, entry_point: entry_point}
    run = f"{test}\n\ncheck(candidate)\n"
    return Row(_run((run,), prelude, free_names([prelude, test]), remote), prompt, entry_point)


def _run(
    tests: tuple[str, ...], prelude: str, names: frozenset[str], remote: Mapping[str, str] | None = None
) -> Asserts:
    """Tests that have to be run, if there is a program that they can judge. Raises UnreadableTests."""
    remote = remote or {}
    _refuse_without_modules([prelude, *tests], names - remote.keys())
    needed = objects_needed([*tests], (names | remote.keys()) - ALIASES.keys() - (COMPARATORS - remote.keys()))
    if needed is not None:
        raise UnreadableTests(needed)
    return Asserts(tests, prelude, names, remote)


def _refuse_without_modules(sources: Sequence[str], names: frozenset[str] = frozenset()) -> None:
    """Raises UnreadableTests where test code needs a module that no jail has."""
    lacking = missing_module(sources, names)
    if lacking is not None:
        raise UnreadableTests(lacking)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise UnreadableTests(f"`{name}` must be a list of texts")
    for number, one in enumerate(value):
        if not one.isascii() and one != one.encode(errors="replace").decode():
            raise UnreadableTests(f"`{name}` {number} has half a character (a lone surrogate), which is no Unicode")
    return tuple(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier():
        raise UnreadableTests(f"`entry_point` must be a function's name, not {value!r}")
    return value


def stub(prompt: str) -> str:
    """A HumanEval prompt as a module by itself: its imports, its helpers, and its function without a body."""
    return f"{prompt.rstrip()}\n    pass\n"


def spellings(text: str, row: Row) -> tuple[str, tuple[str, ...]]:
    """The ways in which a program can be meant, of which the first that is Python counts: how all begin, and go on."""
    if not row.entry_point:
        return "", (dedented(text),)
    if re.search(rf"^(async\s+)?def\s+{row.entry_point}\b", dedented(text), re.MULTILINE):
        whole = dedented(text)
        return "", (f"{stub(row.prompt)}\n{whole}", whole)
    start = row.prompt if row.prompt.endswith("\n") else f"{row.prompt}\n"
    body = text.strip("\n")
    # A completion loses the indentation of its first line when it is stripped, or of all when it is written anew.
    return start, (body, f"    {body}", textwrap.indent(body, "    "))
