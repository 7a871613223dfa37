"""Whether test code needs the program's own objects, which never leave its process: such tests can judge no program.

Only plain data crosses from a program to its tests (docs/sandbox.md). Tests that compare instances of its classes, enter
them with `with`, expect its exceptions, run its coroutines or look at what it changed in place would fail for every
program, so their row is refused when it is read. rows.py asks; everything here is read from the syntax.
"""

import ast
from collections.abc import Iterator

# What a test compares a result with and no program can hand over.
_NOT_PLAIN = frozenset(
    ("datetime", "date", "time", "timedelta", "Decimal", "decimal", "Fraction", "fractions", "array", "deque")
)
# Modules that test code uses by these names without importing them: they are never taken from the program.
ALIASES = {"np": "numpy", "numpy": "numpy", "pd": "pandas", "pandas": "pandas"}
COMPARATORS = frozenset(("isclose", "allclose", "array_equal"))  # nor are these
# Built-in functions that ask an instance for what only its own process can say.
_ASKING = frozenset(
    (
        "repr",
        "str",
        "hash",
        "bool",
        "abs",
        "int",
        "float",
        "round",
        "format",
        "sorted",
        "min",
        "max",
        "sum",
        "set",
        "frozenset",
    )
)
_MUTABLE = frozenset(("list", "dict", "set", "bytearray", "deque", "defaultdict"))


def objects_needed(sources: list[str], names: frozenset[str]) -> str | None:
    """Why tests need the program's own objects, in words; None where plain data is enough. Raises SyntaxError.

    `names`: what the tests expect from the program. A name that begins with a capital letter is taken for a class.
    """
    tree = ast.parse("\n".join(sources))
    classes = {name for name in names if name[:1].isupper()}
    reader = _Reader(names, classes)
    reader.visit(tree)
    return reader.found or _changed_in_place(tree, names)


class _Reader(ast.NodeVisitor):
    """Looks for uses of the program's objects; the first is `found`."""

    def __init__(self, names: frozenset[str], classes: set[str]) -> None:
        self.names, self.classes = names, classes
        self.instances: set[str] = set()  # variables that hold one
        self.found: str | None = None

    def visit_Assign(self, node: ast.Assign) -> None:
        if self._is_instance(node.value):
            self.instances |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Comparisons of instances, of what is not plain data, and of two results' identity."""
        sides = [node.left, *node.comparators]
        identities = all(isinstance(one, (ast.Is, ast.IsNot)) for one in node.ops)
        if identities and all(isinstance(one, ast.Call) and self._is_of_program(one) for one in sides):
            self._say("they ask whether two of its results are one object")
        if not identities and any(map(self._is_instance, sides)):
            self._say("they compare instances of its classes")
        elif any(map(self._is_of_program, sides)) and any(map(_is_not_plain, sides)):
            self._say("they compare what it returns with what is not plain data")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if self._is_instance(node.left) or self._is_instance(node.right):
            self._say("they compute with instances of its classes")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if self._is_instance(node.operand):
            self._say("they compute with instances of its classes")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if self._is_instance(node.target) or self._is_instance(node.value):
            self._say("they compute with instances of its classes")
        self.generic_visit(node)

    def visit_Set(self, node: ast.Set) -> None:
        if any(map(self._is_instance, node.elts)):
            self._say("they keep its instances in sets")
        self.generic_visit(node)

    def visit_With(self, node: ast.With) -> None:
        if any(self._is_of_program(one.context_expr) for one in node.items):
            self._say("they enter its objects with `with`")
        self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> None:
        self._say("they await it")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type is not None and self._names_of(node.type) & self.names:
            self._say("they expect its own exceptions")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """Tests that ask for the program's own types, or run its coroutines."""
        called = ast.unparse(node.func)
        given = set().union(*(self._names_of(one) for one in node.args if not isinstance(one, ast.Call)), set())
        if (
            called in ("isinstance", "issubclass", "pytest.raises", "self.assertRaises", "type")
            and given & self.classes
        ):
            self._say("they ask for its own types")
        elif called in ("asyncio.run", "run_until_complete", "asyncio.gather") and any(
            map(self._is_of_program, node.args)
        ):
            self._say("they run its coroutines")
        elif called == "next" and any(map(self._is_of_program, node.args)):
            self._say("they step through its generators")
        elif called in _ASKING and any(map(self._holds_instance, node.args)):
            self._say("they ask built-in functions about its instances")
        self.generic_visit(node)

    def _say(self, what: str) -> None:
        self.found = self.found or f"the tests need the program's own objects: {what}"

    def _names_of(self, node: ast.expr) -> set[str]:
        return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}

    def _is_instance(self, node: ast.expr) -> bool:
        if isinstance(node, ast.BinOp):
            return self._is_instance(node.left) or self._is_instance(node.right)
        if isinstance(node, ast.Name):
            return node.id in self.instances
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.classes

    def _holds_instance(self, node: ast.expr) -> bool:
        listed = node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else [node]
        return any(map(self._is_instance, listed))

    def _is_of_program(self, node: ast.expr) -> bool:
        while isinstance(node, (ast.Call, ast.Attribute)):
            node = node.func if isinstance(node, ast.Call) else node.value
        return isinstance(node, ast.Name) and (node.id in self.names or node.id in self.instances)


def _is_not_plain(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    first = ast.unparse(node.func).split(".")
    return bool(_NOT_PLAIN & set(first))


def _changed_in_place(tree: ast.Module, names: frozenset[str]) -> str | None:
    """Whether tests look at a variable that they gave to the program, as `x = [2, 1]; g(x); assert x == [1, 2]` does."""
    for body in _bodies(tree):
        called = set(names)  # what stands for the program's functions
        mutable: set[str] = set()
        given: set[str] = set()
        for statement in _in_order(body):
            if isinstance(statement, ast.Assign):
                fresh = {name for name, value in _assigned(statement) if _is_mutable(value)}
                called |= {
                    name for name, value in _assigned(statement) if isinstance(value, ast.Name) and value.id in called
                }
                mutable, given = mutable | fresh, given - fresh
            if isinstance(statement, ast.Assert) and given & _looked_at(statement.test, called):
                return "the tests look at what the program changed in place, and it is handed copies"
            given |= _handed_over(statement, called) & mutable
    return None


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _MUTABLE
    return isinstance(value, (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp))


def _assigned(statement: ast.Assign) -> Iterator[tuple[str, ast.expr]]:
    """The names of an assignment, each with its value; `a, b = [1], [2]` has two."""
    for target in statement.targets:
        if isinstance(target, ast.Name):
            yield target.id, statement.value
        elif isinstance(target, ast.Tuple) and isinstance(statement.value, (ast.Tuple, ast.List)):
            pairs = zip(target.elts, statement.value.elts, strict=False)
            yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))


def _looked_at(node: ast.AST, called: set[str]) -> set[str]:
    """The variables that an expression looks at itself: not those that it only hands to the program."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in called:
        return set()
    own = {node.id} if isinstance(node, ast.Name) else set()
    return own.union(*(_looked_at(child, called) for child in ast.iter_child_nodes(node)))


def _handed_over(statement: ast.stmt, called: set[str]) -> set[str]:
    """The variables that a statement gives to the program as they are."""
    calls = [one for one in ast.walk(statement) if isinstance(one, ast.Call)]
    own = [one for one in calls if isinstance(one.func, ast.Name) and one.func.id in called]
    values = [value for one in own for value in [*one.args, *(keyword.value for keyword in one.keywords)]]
    return {value.id for value in values if isinstance(value, ast.Name)}


def _in_order(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The simple statements of a body, those inside loops and conditions too."""
    for statement in body:
        inner = [part for name in ("body", "orelse", "finalbody") for part in getattr(statement, name, ())]
        if not inner:
            yield statement
        elif not isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from _in_order(inner)


def _bodies(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    yield tree.body
    yield from (node.body for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
