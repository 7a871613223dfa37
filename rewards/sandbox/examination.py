"""What is asked of a program and what was found: the values that go into and come out of the sandbox.

The kind python_tests makes Tests from a dataset row, plain.py from test code that has the plain form; conduct.py reads them.
Expected values stay in these objects, in the judge's process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from rewards.sandbox.inside import wire

Outcome = Literal[
    "passed", "wrong_answer", "syntax_error", "crashed", "timed_out", "out_of_memory", "output_limit",
    "tests_broken", "sandbox_fault",
]  # fmt: skip
Comparison = Literal["equal", "different", "identical", "near", "true", "false"]


@dataclass(frozen=True)
class StandardStreams:
    """Whole programs: each input is a run of its own, whose standard output is compared line by line."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def total(self) -> int:
        """How many tests there are."""
        return len(self.inputs)


@dataclass(frozen=True)
class Call:
    """One call, of plain data, and what its value is compared with, which is not sent."""

    target: str
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    expected: Any
    comparison: Comparison = "equal"
    hashed_entries: int = 0  # in sets and dictionaries of the expected value


@dataclass(frozen=True)
class Calls:
    """Calls whose values are compared here. `from_json`: the expected values cannot hold tuples, so lists equal them."""

    calls: tuple[Call, ...]
    tolerance: float | None = None
    from_json: bool = False

    @property
    def total(self) -> int:
        """How many tests there are."""
        return len(self.calls)

    @cached_property
    def message(self) -> bytes:
        """The calls as they are sent. A row's calls are the same for each of its completions."""
        requests = [("call", one.target, *wire.operands((one.arguments, one.named))) for one in self.calls]
        return wire.order({"requests": requests, "last": True})


@dataclass(frozen=True)
class Asserts:
    """Test code that runs in a jail of its own. `names`: what it uses and does not define. `remote`: names of its own for
    what the program defines."""

    tests: tuple[str, ...]
    prelude: str
    names: frozenset[str]
    remote: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many tests there are."""
        return len(self.tests)


@dataclass(frozen=True)
class Output:
    """No test: a whole program is run once, for what it writes (`Finding.written`)."""

    given: str = ""  # its standard input

    @property
    def total(self) -> int:
        """One run."""
        return 1


@dataclass(frozen=True)
class States:
    """No test: a program is run once, statement by statement, for the values of its names after each (`Finding.states`).

    statements: how many its top level has; what says that there are more is not listened to.
    """

    statements: int
    given: str = ""  # its standard input

    @property
    def total(self) -> int:
        """One run."""
        return 1


State = Mapping[str, str]  # how each name's value is written, cut
Tests = StandardStreams | Calls | Asserts | Output | States


@dataclass(frozen=True)
class Examination:
    """A program, in one or more spellings of which the first that is Python counts, and its tests.

    `partial`: go on after a test that failed, to count those that pass. `start`: what every spelling begins with.
    """

    spellings: tuple[str, ...]
    tests: Tests
    partial: bool = False
    start: str = ""


@dataclass(frozen=True)
class Finding:
    """What came of an examination. `isolation`: the backend that held the program."""

    outcome: Outcome
    passed: int = 0
    total: int = 0
    detail: str = ""
    isolation: str = ""
    written: str = ""  # standard output, where it was asked for
    states: tuple[State, ...] = ()  # after each statement that has ended, where they were asked for
