"""The tools that the environment `tools` executes: a calculator, Python in the sandbox, a key-value store.

Calls and their arguments come from the policy and are untrusted. Arithmetic has its own parser (arithmetic.py), programs run
only in rewards/sandbox, and the store is bounded. Neighbour: tools.py (the environment).
"""

from collections.abc import Mapping
from typing import Any, Protocol

from alignment.data.rows import ToolSchema
from alignment.rollout.environments.arithmetic import ArithmeticRefused, evaluate
from rewards.sandbox import Examination, Output, Sandbox

CALCULATOR: ToolSchema = {
    "type": "function",
    "function": {
        "name": "calculator",
        "description": "The value of an arithmetic expression, with + - * / // % ** and brackets.",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    },
}
PYTHON: ToolSchema = {
    "type": "function",
    "function": {
        "name": "python",
        "description": "Run a Python program and return what it prints. Nothing is kept between two calls.",
        "parameters": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
    },
}
MAX_PROGRAM = 20_000  # characters
MAX_KEYS, MAX_VALUE = 64, 4000  # of a store; characters of key and value


class ToolError(Exception):
    """A call without a result; the message is shown to the policy."""


class Executor(Protocol):
    """One tool that can be executed. Arguments are validated against its schema before the call."""

    name: str
    schema: ToolSchema

    def call(self, arguments: Mapping[str, Any]) -> str:
        """The result as text. Raises ToolError if there is none."""
        ...


class Calculator:
    """Arithmetic with whole numbers and decimals."""

    name = "calculator"
    schema = CALCULATOR

    def call(self, arguments: Mapping[str, Any]) -> str:
        """The value of `expression`."""
        try:
            return evaluate(str(arguments["expression"]))
        except ArithmeticRefused as error:
            raise ToolError(str(error)) from error


class Python:
    """A program in the sandbox: no network, no files of this machine, bounded time and memory."""

    name = "python"
    schema = PYTHON

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def call(self, arguments: Mapping[str, Any]) -> str:
        """The output of `code`. Raises ToolError; if the sandbox failed, its message says that the program did not."""
        code = str(arguments["code"])
        if len(code) > MAX_PROGRAM:
            raise ToolError(f"the program has {len(code)} characters, and {MAX_PROGRAM} are the most")
        (finding,) = self._sandbox.examine_all([Examination((code,), Output())])
        if finding.outcome == "passed":
            return finding.written.rstrip("\n") or "(nothing was printed)"
        if finding.outcome == "sandbox_fault":
            raise ToolError("the sandbox failed, not the program; call again")
        raise ToolError(f"{finding.outcome.replace('_', ' ')}{': ' if finding.detail else ''}{finding.detail}")


class Store:
    """A key-value store of one rollout, behind two tools: `store_set` and `store_get`."""

    def __init__(self, name: str, values: dict[str, str]) -> None:
        self.name, self._values = name, values
        known = {"key": {"type": "string"}}
        setting = name == "store_set"
        self.schema: ToolSchema = {
            "type": "function",
            "function": {
                "name": name,
                "description": "Keep a value under a key." if setting else "The value that was kept under a key.",
                "parameters": {
                    "type": "object",
                    "properties": {**known, "value": {"type": "string"}} if setting else known,
                    "required": ["key", "value"] if setting else ["key"],
                },
            },
        }

    @classmethod
    def tools(cls) -> "list[Executor]":
        """Both tools, on one empty store."""
        values: dict[str, str] = {}
        return [cls("store_set", values), cls("store_get", values)]

    def call(self, arguments: Mapping[str, Any]) -> str:
        """Set or get a value. Raises ToolError for an unknown key or a full store."""
        key = str(arguments["key"])
        if self.name == "store_get":
            if key not in self._values:
                raise ToolError(f"nothing is kept under {key[:50]!r}")
            return self._values[key]
        value = str(arguments["value"])
        if len(key) + len(value) > MAX_VALUE:
            raise ToolError(f"key and value have more than {MAX_VALUE} characters")
        if key not in self._values and len(self._values) >= MAX_KEYS:
            raise ToolError(f"{MAX_KEYS} keys are the most")
        self._values[key] = value
        return "ok"
