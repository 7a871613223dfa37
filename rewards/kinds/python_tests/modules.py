"""The modules that a row's test code needs, and whether a jail has them.

A jail has the standard library and the few packages of rewards/sandbox/backends/visible.py. A row whose tests or prompt
import anything else can judge no program, so it is refused when it is read. rows.py asks; nothing is imported here.
"""

import ast
from collections.abc import Iterator, Sequence

from rewards.kinds.python_tests.objects import ALIASES
from rewards.sandbox.backends import PACKAGES, has_module


def missing_module(sources: Sequence[str], names: frozenset[str] = frozenset()) -> str | None:
    """Which module that a jail lacks is needed, in words; None where all are there. Raises SyntaxError.

    `names`: what the sources use and do not define. Of these, `np` and `pd` stand for the packages that they always name.
    An import that is inside `try` may fail, and is no need.
    """
    needed = [module for source in sources for module in _imported(ast.parse(source))]
    needed += [ALIASES[name] for name in sorted(names & ALIASES.keys())]
    lacking = next((module for module in needed if not has_module(module)), None)
    if lacking is None:
        return None
    packages = ", ".join(PACKAGES)
    return (
        f"the tests need the module `{lacking}`, which no program can import here: a jail has the standard library and "
        f"{packages}; leave the row out, or write its tests without `{lacking}`"
    )


def _imported(tree: ast.AST) -> Iterator[str]:
    """The first part of each module's name that must be there; those inside `try` and relative ones are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
        elif not isinstance(node, ast.Try):
            yield from _imported(node)
