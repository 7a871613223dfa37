"""Runs a data set's test code, in a jail of its own, against a candidate that it can only send messages to.

The names that the tests expect from the program are `Remote` stand-ins: a call travels to the process of candidate.py,
over the end of its channel that the judge hands on to this process, and plain data comes back. The program never shares a process with its tests, so it cannot
reach their assertions, their expected values or the function that reports the outcome.
"""

import builtins
import importlib
import importlib.util
import os
import signal
import sys
from typing import Any, NoReturn

from . import wire

_NOT_PLAIN = "the program returned something that is not plain data, which is never compared"
# Modules that tests use by these names without importing them. A program's own would be handed the expected values.
ALIASES = {"np": "numpy", "numpy": "numpy", "pd": "pandas", "pandas": "pandas"}
# Functions that compare, which tests may use without importing them: a program's own could say yes to everything.
COMPARATORS = {"isclose": "math", "allclose": "numpy", "array_equal": "numpy"}
LONGEST_DETAIL = 300
PROGRAM_DESCRIPTOR = 4  # the judge's end of the program's channel, handed on by the judge


class _Failed(Exception):
    """The candidate raised something that is not a built-in exception."""


class _NeverCompared(BaseException):
    """What the program returned is not plain data. No test can catch it as the TypeError that it may wait for."""


class Candidate:
    """The other end: sends one request, waits for its reply, and remembers what the candidate raised last."""

    def __init__(self, program: wire.Stream, judge: wire.Stream) -> None:
        self.program, self.judge = program, judge
        self.raised: BaseException | None = None
        self.asked = False
        self.refused = False  # something of the program's was to be compared

    def request(self, operation: str, target: str | int, operands: Any = None) -> Any:
        """The value that comes of an operation on something of the candidate's. Raises what the candidate raised."""
        message = wire.order({"requests": [(operation, target, *wire.operands(operands, _number))]})
        if not self.asked:  # from here on, time that is lost may be the program's fault
            self.judge.send(wire.frame({"asked": True}))
            self.asked = True
        reply = self._reply(message)
        if not isinstance(reply, dict) or not ("value" in reply or "raised" in reply):
            self._raise(["Exception", "Malformed", "the program wrote to the channel of its replies"])
        if "raised" in reply:
            self._raise(reply["raised"])
        return wire.Reader(fetch=self._remote).unpack(reply["value"])

    def _remote(self, number: int) -> "Remote":
        return Remote(self, number)

    def _reply(self, message: bytes) -> Any:
        """The reply to a message. Without one the tests end here, whatever they would catch."""
        try:
            self.program.send(message)
            reply = self.program.receive()
            why = "ended"
        except OSError:
            reply, why = None, "ended"
        except wire.LongFrame:
            reply, why = None, "output_limit"
        if reply is None:
            self.judge.send(wire.frame({"stopped": why}))
            os._exit(0)
        return reply

    def _raise(self, described: Any) -> NoReturn:
        built_in, name, message = map(str, described)
        kind = getattr(builtins, built_in, None)
        proper = isinstance(kind, type) and issubclass(kind, Exception) and kind not in (StopIteration, UnicodeError)
        try:
            self.raised = kind(message) if proper and kind is not None else _Failed(f"{name}: {message}")
        except TypeError:  # a built-in one that takes more than a message
            self.raised = _Failed(f"{name}: {message}")
        raise self.raised


class Remote:
    """Something of the candidate's that is not plain data. It can be used and handed back, but never compared."""

    __slots__ = ("_candidate", "_target")

    def __init__(self, candidate: Candidate, target: str | int) -> None:
        object.__setattr__(self, "_candidate", candidate)
        object.__setattr__(self, "_target", target)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._candidate.request("call", self._target, (arguments, named))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._candidate.request("attribute", self._target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._candidate.request("assign", self._target, (name, value))

    def __getitem__(self, key: Any) -> Any:
        return self._candidate.request("item", self._target, key)

    def __len__(self) -> int:
        return int(self._candidate.request("length", self._target))

    def __iter__(self) -> Any:
        return iter(self._candidate.request("iterate", self._target))

    def _refuse(self, *_: Any) -> NoReturn:
        self._candidate.refused = True
        raise _NeverCompared(_NOT_PLAIN)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = _refuse  # type: ignore[assignment]
    __hash__ = object.__hash__


def _number(value: Any) -> int:
    """The number under which the candidate keeps an object."""
    if type(value) is Remote and isinstance(value._target, int):  # noqa: SLF001
        return value._target  # noqa: SLF001
    raise wire.WireError(f"{type(value).__name__} cannot be handed to a program: it is not plain data")


def serve(judge: wire.Stream) -> int:
    """Run the tests in order, report how many passed, and give the exit code."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a program that closes its channel ends no tests
    order = judge.order()
    if order is not None:
        program = wire.Stream(PROGRAM_DESCRIPTOR, order["output_bytes"])
        judge.send(wire.frame({"verdict": examine(Candidate(program, judge), order)}))
    return 0


def examine(candidate: Candidate, order: dict[str, Any]) -> dict[str, Any]:
    """Run the tests of an order; how many passed, and what became of those that did not."""
    namespace: dict[str, Any] = {"__name__": "tests"}
    for name in {*order["names"], *order["remote"]}:
        module = ALIASES.get(name, name if name in sys.stdlib_module_names else "")
        if name in COMPARATORS and name not in order["remote"]:
            if importlib.util.find_spec(COMPARATORS[name]) is not None:
                namespace[name] = getattr(importlib.import_module(COMPARATORS[name]), name)
        elif not module or name in order["remote"]:
            namespace[name] = Remote(candidate, name)
        elif module in sys.stdlib_module_names or importlib.util.find_spec(module) is not None:
            namespace[name] = importlib.import_module(module)
    remote = {name: Remote(candidate, target) for name, target in order["remote"].items()}
    found: dict[str, Any] = {"passed": 0, "total": len(order["tests"]), "failures": []}
    failure = _outcome(candidate, order["prelude"], namespace)
    if failure is not None:
        return {**found, "failures": [failure]}
    for number, source in enumerate(order["tests"]):
        namespace.update(remote)
        failure = _outcome(candidate, source, namespace)
        if failure is None:
            found["passed"] += 1
            continue
        found["failures"].append([*failure, number])
        if not order["partial"]:
            break
    return found


def _outcome(candidate: Candidate, source: str, namespace: dict[str, Any]) -> list[str] | None:
    """None for a test that passes, else `[wrong_answer | crashed | broken, what was raised, detail]`."""
    candidate.refused = False
    try:
        exec(compile(source, "<tests>", "exec", dont_inherit=True), namespace)  # noqa: S102  the data set's own code
        return ["wrong_answer", "TypeError", _NOT_PLAIN] if candidate.refused else None
    except BaseException as error:  # noqa: BLE001  it may raise anything
        name, detail = type(error).__name__, str(error)[:LONGEST_DETAIL]
        if error is candidate.raised:
            return ["crashed", name, detail]
        if isinstance(error, AssertionError):
            return ["wrong_answer", name, detail]
        if isinstance(error, _NeverCompared):
            return ["wrong_answer", "TypeError", detail]
        # Once the program was asked, a test that trips does so over the answer: None has no length.
        return ["wrong_answer" if candidate.asked else "broken", name, detail]
