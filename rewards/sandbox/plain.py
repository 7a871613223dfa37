"""Test code in its plain form, read as calls and expected values: most of HumanEval and nearly all of MBPP.

`assert f(1, 2) == 3` becomes a Call whose value is compared in the judge's process, so that one process per program is
enough. What is not plain is left to inside/examiner.py, which runs it. Nothing is evaluated but literals.
"""

import ast
import builtins
import copy
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rewards.sandbox.examination import Call, Comparison
from rewards.sandbox.inside import wire

_COMPARISONS: dict[type[ast.cmpop], Comparison] = {
    ast.Eq: "equal", ast.NotEq: "different", ast.Is: "identical",
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
_LARGEST_FACTOR, _LARGEST_POWER = 1_000_000, 100


class _NotPlain(Exception):
    """This test code has to be run."""


def plain_asserts(asserts: Sequence[str], setup: str = "") -> tuple[Call, ...] | None:
    """The calls of single assert statements, or None when one of them has to be run. Raises SyntaxError."""
    if not _is_empty(ast.parse(setup)):
        return None
    calls = []
    for text in asserts:
        body = ast.parse(text).body
        try:
            if len(body) != 1 or not isinstance(body[0], ast.Assert):
                return None
            calls.append(_call(body[0], None))
        except _NotPlain:
            return None
    return tuple(calls)


def plain_check(test: str, entry_point: str) -> tuple[Call, ...] | None:
    """The calls of a `check(candidate)` that holds plain asserts only, or None. Raises SyntaxError."""
    functions = [node for node in ast.parse(test).body if not _is_idle(node)]
    if len(functions) != 1 or not isinstance(functions[0], ast.FunctionDef) or functions[0].name != "check":
        return None
    given = [argument.arg for argument in functions[0].args.args]
    calls = []
    for node in functions[0].body:
        if _is_idle(node):
            continue
        if not isinstance(node, ast.Assert) or given != ["candidate"]:
            return None
        try:
            calls.append(_call(node, entry_point))
        except _NotPlain:
            return None
    return tuple(calls) or None


def call(target: str, arguments: Sequence[Any], named: dict[str, Any], expected: Any) -> Call:
    """A call of plain data. Raises WireError for what is not."""
    wire.pack([list(arguments), named])
    return Call(target, tuple(arguments), named, expected, hashed_entries=_hashed_entries(expected))


def free_names(sources: Iterable[str]) -> frozenset[str]:
    """The names that test code uses and does not define: what it expects from the program. Raises SyntaxError."""
    used: set[str] = set()
    bound: set[str] = set(dir(builtins)) | {"__name__"}
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Name):
                (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                bound.add(node.name)
            elif isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                bound.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ExceptHandler) and node.name:
                bound.add(node.name)
    return frozenset(used - bound)


def _call(node: ast.Assert, entry_point: str | None) -> Call:
    """The call in an assert. `entry_point`: what `candidate` stands for; without it the call's own name counts."""
    test, comparison, expected = _parts(node.test)
    if not isinstance(test, ast.Call) or not isinstance(test.func, ast.Name):
        raise _NotPlain
    if entry_point is not None and test.func.id != "candidate":
        raise _NotPlain
    if comparison == "identical" and expected not in (None, True, False):
        raise _NotPlain
    if any(isinstance(one, ast.Starred) for one in test.args) or any(one.arg is None for one in test.keywords):
        raise _NotPlain
    named = {str(one.arg): _literal(one.value) for one in test.keywords}
    try:
        made = call(entry_point or test.func.id, [_literal(one) for one in test.args], named, expected)
    except wire.WireError as error:
        raise _NotPlain from error
    return Call(made.target, made.arguments, made.named, expected, comparison, made.hashed_entries)


def _parts(test: ast.expr) -> tuple[ast.expr, Comparison, Any]:
    """What an assert calls, how its value is compared, and with what."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand, "false", None
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return test, "true", None
    left, kind, right = test.left, type(test.ops[0]), test.comparators[0]
    if kind is ast.Lt and isinstance(left, ast.Call) and ast.unparse(left.func) == "abs" and len(left.args) == 1:
        difference = left.args[0]
        if isinstance(difference, ast.BinOp) and isinstance(difference.op, ast.Sub):
            return difference.left, "near", (_number(difference.right), _number(right))
    if kind not in _COMPARISONS:
        raise _NotPlain
    if not isinstance(left, ast.Call):
        left, right = right, left
    return left, _COMPARISONS[kind], _literal(right)


def _literal(node: ast.expr) -> Any:
    """The value of a literal, in which numbers and texts may be computed: `3 * 19`."""
    try:
        value = ast.literal_eval(_Folding().visit(copy.deepcopy(node)))
        wire.pack(value)
    except (ArithmeticError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise _NotPlain from error
    return value


def _number(node: ast.expr) -> float:
    value = _literal(node)
    if not isinstance(value, (int, float)):
        raise _NotPlain
    return value


class _Folding(ast.NodeTransformer):
    """Computes what is written as a sum, product or power of constants, within bounds."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """The value of two constants with an operator between them. Raises _NotPlain beyond the bounds."""
        self.generic_visit(node)
        compute = _OPERATORS.get(type(node.op))
        left, right = node.left, node.right
        if compute is None or not isinstance(left, ast.Constant) or not isinstance(right, ast.Constant):
            return node
        for one in (left.value, right.value):
            if not isinstance(one, (int, float, str)) or (isinstance(one, int) and abs(one) > _LARGEST_FACTOR):
                raise _NotPlain
        if isinstance(node.op, ast.Pow) and not (isinstance(right.value, int) and 0 <= right.value <= _LARGEST_POWER):
            raise _NotPlain
        return ast.Constant(compute(left.value, right.value))


def _is_idle(node: ast.stmt) -> bool:
    """Whether a statement tests nothing: a docstring, `pass`, METADATA, `assert True`."""
    if isinstance(node, (ast.Expr, ast.Assert)):
        value = node.value if isinstance(node, ast.Expr) else node.test
        mentioned = isinstance(node, ast.Expr) and isinstance(value, ast.Name)
        return mentioned or (isinstance(value, ast.Constant) and bool(value.value or isinstance(node, ast.Expr)))
    if isinstance(node, ast.Assign):
        return isinstance(node.value, (ast.Dict, ast.Constant))
    return isinstance(node, ast.Pass)


def _is_empty(module: ast.Module) -> bool:
    """Whether setup code does nothing that a literal could depend on."""
    return all(isinstance(node, (ast.Import, ast.ImportFrom)) or _is_idle(node) for node in module.body)


def _hashed_entries(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_hashed_entries, value)) + sum(map(_hashed_entries, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        own = len(value) if isinstance(value, (set, frozenset)) else 0
        return own + sum(map(_hashed_entries, value))
    return 0
