"""Public names say what they are: classes, functions and methods that others call have a docstring.

Public is what has no leading underscore and is not inside a function or a private class. A class that a person writes
(pydantic) or a value (dataclass) counts as any other.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(path for room in ("alignment", "rewards") for path in REPOSITORY.glob(f"{room}/**/*.py"))
LEAST = 0.97  # of the public names
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public_names(node: ast.AST, before: str = "") -> Iterator[tuple[str, Definition]]:
    """`(dotted name, definition)` of the public names in a module or class."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If | ast.Try):
            yield from public_names(child, before)
        if isinstance(child, Definition) and not child.name.startswith("_"):
            yield f"{before}{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from public_names(child, f"{before}{child.name}.")


def without_docstring(source: str) -> list[str]:
    """`line name` of the public names in a module's source that have no docstring."""
    names = public_names(ast.parse(source))
    return [f"{node.lineno} {name}" for name, node in names if not ast.get_docstring(node)]


def test_public_names_have_docstrings() -> None:
    count, missing = 0, []
    for path in FILES:
        name, source = path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")
        count += len(list(public_names(ast.parse(source))))
        missing += [f"{name}:{one}" for one in without_docstring(source)]
    listed = "\n".join(missing)
    assert len(missing) <= (1 - LEAST) * count, f"{len(missing)} of {count} public names have no docstring:\n{listed}"


def test_a_neighbour_that_a_file_names_is_there() -> None:
    """Beside the file, or by its path from alignment/ or the repository: a reader goes where a docstring points."""
    lost = []
    for path in FILES:
        said = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("Neighbour")[2]
        for name in re.findall(r"(?<![\w.])((?:[\w.]+/)*\w+\.py)\b", said):
            if not any((place / name).exists() for place in (path.parent, REPOSITORY / "alignment", REPOSITORY)):
                lost.append(f"{path.relative_to(REPOSITORY)}: {name}")
    assert lost == []


def test_what_counts_as_public() -> None:
    source = (
        "class Open:\n    def seen(self): ...\n    def _hidden(self): ...\n"
        "class _Closed:\n    def inside(self): ...\n"
        'def said():\n    "What it does."\n    def local(): ...\n'
    )
    assert without_docstring(source) == ["1 Open", "2 Open.seen"]
