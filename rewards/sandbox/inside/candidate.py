"""Runs a model's program, and answers calls to what it defines. One process per program, confined by its parent.

Nothing here is trusted: the program shares this process and may change all of it. The judge therefore believes only
values, which it compares with expected values that never come here. What is not plain data stays here under a number.
"""

import builtins
import importlib
import io
import os
import sys
import types
from itertools import islice
from typing import Any

from . import states, wire

# Modules whose names LeetCode and LiveCodeBench have imported before a program runs. All are loaded before any fork.
PREAMBLE_MODULES = (
    "string", "re", "collections", "heapq", "bisect", "copy", "math", "random", "itertools", "functools", "operator", "io",
    "sys", "json", "typing",
)  # fmt: skip
RECURSION_LIMIT = 50_000  # as LiveCodeBench's harness sets it
STANDARD_INPUT = ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
LONGEST_MESSAGE = 200
LONGEST_ITERATION = 100_000


def prepare() -> None:
    """Make the preamble, once, before the first fork. zygote.py has loaded its modules by then.

    They are not imported with this file: `random` would have every forked process seed it. A program finds the names where
    it finds what is built in, since copying them into each program would touch, and so copy, the pages of them all.
    """
    found = _PREAMBLE.__dict__
    found.update(vars(builtins))
    for name in PREAMBLE_MODULES:
        module = importlib.import_module(name)
        public = getattr(module, "__all__", [one for one in vars(module) if not one.startswith("_")])
        found |= {one: getattr(module, one) for one in public if one not in vars(builtins)}
        found[name] = module


def _with_preamble(module: types.ModuleType) -> None:
    """Let a program find the preamble without importing it; what is built in stays as it is."""
    module.__dict__["__builtins__"] = sys.modules["builtins"] = _PREAMBLE


def _leave(code: object = None) -> None:
    """`exit` and `quit`, which an interpreter without its site module does not have."""
    raise SystemExit(code)


builtins.exit = builtins.quit = _leave  # type: ignore[assignment]
_PREAMBLE = types.ModuleType("builtins")  # what is built in, and what these judges have imported before a program runs


def serve(stream: wire.Stream) -> int:
    """Load the program, answer the requests that follow it, and give the exit code."""
    order = stream.order()
    if order is None:
        return 0
    try:
        code = _compiled(order["start"], order["programs"])
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError) as error:
        stream.send(wire.frame({"syntax": _described(error)}))
        return 0
    if "random" in "".join((order["start"], *order["programs"])):
        importlib.import_module("random").seed()  # or every program would draw the numbers of the one before
    if order["mode"] == "states":
        return _run_observed(stream, order)
    if order["mode"] == "program":
        return _run_program(stream, code, order["stdin"])
    sys.setrecursionlimit(RECURSION_LIMIT)
    module = types.ModuleType("program")
    module.__file__ = "program.py"
    if order.get("preamble"):
        _with_preamble(module)
    sys.modules["program"] = module
    try:
        exec(code, module.__dict__)  # noqa: S102  what this process is for
    except BaseException as error:  # noqa: BLE001  it may raise anything
        stream.send(wire.frame({"raised": _described(error)}))
        return 0
    stream.send(wire.LOADED)
    kept = _Kept()
    while (asked := stream.order()) is not None:
        for one in asked["requests"]:
            stream.send(_answer(module.__dict__, kept, *one))
        if "last" in asked:
            break
    return 0


class _Kept(list[Any]):
    """The objects that were returned and are not plain data, by number."""

    def keep(self, value: Any) -> int:
        """The number of an object from now on."""
        self.append(value)
        return len(self) - 1


def _compiled(start: str, programs: list[str]) -> types.CodeType:
    """The first spelling of the program that is Python; the last one's error if none is."""
    for program in programs[:-1]:
        try:
            return compile(start + program, "<program>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
    return compile(start + programs[-1], "<program>", "exec", dont_inherit=True)


def _answer(
    namespace: dict[str, Any], kept: _Kept, operation: str, target: str | int, operands: Any, packed: bool
) -> bytes:
    """The reply to one request, as a frame. `target`: a name of the program's, or the number of an object kept."""
    try:
        if packed:
            operands = wire.Reader(sys.maxsize, kept.__getitem__).unpack(operands)
        found = _named(namespace, target) if isinstance(target, str) else kept[target]
        result = _perform(operation, found, operands)
    except BaseException as error:  # noqa: BLE001  it may raise anything
        return wire.frame({"raised": _described(error)})
    try:
        return wire.frame({"value": wire.pack(result, kept.keep)})
    except BaseException:  # noqa: BLE001  what a value says about itself is a program's own code
        return wire.frame({"value": {"$": "object", "v": kept.keep(result)}})


def _perform(operation: str, found: Any, operands: Any) -> Any:
    match operation:
        case "call":
            arguments, named = operands
            return found(*arguments, **named)
        case "attribute":
            return getattr(found, operands)
        case "assign":
            return setattr(found, *operands)
        case "item":
            return found[operands]
        case "length":
            return len(found)
        case "iterate":
            return list(islice(found, LONGEST_ITERATION))
    return found


def _named(namespace: dict[str, Any], name: str) -> Any:
    """What the program calls by this name: at its top level, or a method of the class `Solution`."""
    if name in namespace:
        return namespace[name]
    solution = namespace.get("Solution")
    if solution is not None and hasattr(solution, name):
        return getattr(solution(), name)
    raise NameError(f"name {name!r} is not defined")


def _run_observed(stream: wire.Stream, order: dict[str, Any]) -> int:
    """Run a whole program statement by statement, and describe the values of its names after each."""
    module = _as_main(order["stdin"])
    source = next((one for one in order["programs"] if _parses(order["start"] + one)), order["programs"][-1])
    try:
        for code in states.statements(order["start"] + source):
            exec(code, module.__dict__)  # noqa: S102  what this process is for
            stream.send(wire.frame({"state": states.described(module.__dict__)}))
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001  it may raise anything
        stream.send(wire.frame({"raised": _described(error)}))
        return 1
    stream.send(wire.frame({"over": True}))
    return 0


def _parses(source: str) -> bool:
    try:
        compile(source, "<program>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        return False
    return True


def _run_program(stream: wire.Stream, code: types.CodeType, stdin: str) -> int:
    """Run a whole program on standard input, whose output goes to descriptor 1, and give its exit code."""
    module = _as_main(stdin)
    status = 0
    try:
        exec(code, module.__dict__)  # noqa: S102  what this process is for
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException as error:  # noqa: BLE001  it may raise anything
        stream.send(wire.frame({"raised": _described(error)}))
        status = 1
    threads = sys.modules.get("threading")
    if threads is not None and len(threads.enumerate()) > 1:
        threads._shutdown()  # noqa: SLF001  waits for its threads, as the end of a program does
    if "atexit" in sys.modules:
        sys.modules["atexit"]._run_exitfuncs()  # noqa: SLF001  as the end of a program does
    if not sys.stdout.closed:
        sys.stdout.flush()
    return status & 0xFF


def _as_main(stdin: str) -> types.ModuleType:
    """The module of a whole program, with its standard streams on descriptors 0, 1 and 2."""
    given = os.open(".", os.O_TMPFILE | os.O_RDWR)
    with open(os.dup(given), "wb") as file:
        file.write(stdin.encode())
    os.lseek(given, 0, os.SEEK_SET)
    os.dup2(given, 0)
    os.close(given)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0)), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")), encoding="utf-8", errors="replace")
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(io.FileIO(2, "w")), encoding="utf-8", errors="replace")
    sys.stdin.mode, sys.stdout.mode = "r", "w"  # type: ignore[misc]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]
    builtins.open = io.open = _open  # type: ignore[assignment]
    _PREAMBLE.__dict__["open"] = _open
    sys.argv = ["program.py"]
    sys.setrecursionlimit(RECURSION_LIMIT)
    module = types.ModuleType("__main__")
    module.__file__ = "program.py"
    _with_preamble(module)
    sys.modules["__main__"] = module
    return module


_file_open = open


def _open(file: Any, *arguments: Any, **named: Any) -> Any:
    """`open`, for which standard input has a name here too, where there is no /dev/stdin."""
    return _file_open(os.dup(0) if file in STANDARD_INPUT else file, *arguments, **named)


def _described(error: BaseException) -> list[str]:
    """The built-in exception that this is, its own name, and its message if it has one that can be read."""
    kind = type(error)
    built_in = next((one.__name__ for one in kind.__mro__ if one.__module__ == "builtins"), "Exception")
    try:
        return [built_in, str(kind.__name__), str(error)[:LONGEST_MESSAGE]]
    except BaseException:  # noqa: BLE001  a message is a program's own code
        return [built_in, str(kind.__name__), ""]
