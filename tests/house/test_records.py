"""What a run records has types: no dictionary of anything stands for a value of the domain, and each coding is there once."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TYPED = ("records", "report", "evaluation")
# What is written once: how JSON lines are parted, how a file is replaced, how a lock is held.
ONCE = {
    r"\bfcntl\b": {"alignment/core/locks.py"},
    r"LOCK_EX": {"alignment/core/locks.py"},
    r"json\.loads\(line": {
        "alignment/core/files.py",
        "alignment/data/rows.py",
        "alignment/lint/cases.py",
        "alignment/rollout/environments/bfcl/simulator.py",  # a line that is asked for through a pipe, not a file's
        "alignment/run/watch.py",
    },
    r"\.partial\"": {"alignment/core/files.py", "alignment/run/base_model.py"},
}


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_no_dictionary_of_anything_stands_for_a_value() -> None:
    found = []
    for path in sorted(path for room in TYPED for path in REPOSITORY.glob(f"alignment/{room}/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and re.fullmatch(
                r"(dict|Mapping)\[str, (Any|object)\]", ast.unparse(node)
            ):
                found.append(f"{name_of(path)}:{node.lineno}")
    assert found == []


def test_each_coding_is_there_once() -> None:
    for pattern, allowed in ONCE.items():
        found = {
            name_of(path)
            for path in REPOSITORY.glob("alignment/**/*.py")
            if re.search(pattern, path.read_text(encoding="utf-8"))
        }
        assert found <= allowed, f"{pattern}: use alignment/core/files.py or locks.py"
