"""Imports go downhill, room by room, deferred ones counted; what is heavy stays in the rooms that need it."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FILES = sorted([*REPOSITORY.glob("rewards/**/*.py"), *REPOSITORY.glob("alignment/**/*.py")])

MODULES = {
    path.relative_to(REPOSITORY).as_posix().removesuffix(".py").removesuffix("/__init__").replace("/", "."): path
    for path in FILES
}
ROOMS = {module for module, path in MODULES.items() if path.name == "__init__.py" and module.count(".") < 2}

# The rooms of alignment/ from the ground up: a file may import from its own room and from those before it.
FLOORS = ("core", "recipe", "records", "data", "lint", "inference", "rollout", "data_factory", "training", "evaluation",
          "run", "sizing", "checks", "report", "serve", "export", "commands", "cli")  # fmt: skip
HEAVY = ("torch", "transformers", "trl", "vllm", "deepspeed", "peft", "accelerate", "datasets", "reasoning_gym",
         "matplotlib")  # fmt: skip
# What a person waits for when a check or a command line starts: none of it may import what is heavy.
LIGHT = ("rewards/", "alignment/core/", "alignment/recipe/", "alignment/records/", "alignment/data/", "alignment/lint/",
         "alignment/run/", "alignment/sizing/", "alignment/checks/", "alignment/report/", "alignment/commands/", "alignment/cli.py",
         "alignment/data_factory/", "alignment/training/__init__.py", "alignment/training/kinds/",
         "alignment/rollout/references.py", "alignment/inference/engine.py", "alignment/inference/start.py", "alignment/inference/auto.py",
         "alignment/inference/vllm/kind.py", "alignment/inference/vllm/server/kind.py", "alignment/inference/vllm/server/starter.py",
         "alignment/inference/transformers/kind.py",
         "alignment/evaluation/identity.py", "alignment/evaluation/task.py", "alignment/evaluation/sweep/plan.py",
         "alignment/evaluation/sweep/files.py", "alignment/evaluation/adaptive_budget/budget.py",
         "alignment/serve/command.py", "alignment/serve/middleware.py", "alignment/serve/requests.py")  # fmt: skip
TENSORS = ("alignment/training/", "alignment/inference/", "alignment/rollout/", "alignment/evaluation/",
           "alignment/run/base_model.py", "alignment/serve/budget_processor.py", "alignment/export/")  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """`(module, whether it is imported when the file is)` of every import; those for type checkers alone are left out."""
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8")), at_import=True))


def _imports(node: ast.AST, at_import: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_import) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from ((f"{child.module}.{alias.name}", at_import) for alias in child.names)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(child, at_import and not inside)


def within(*rooms: str) -> list[Path]:
    return [path for path in FILES if name_of(path).startswith(rooms)]


def outside(*rooms: str) -> list[Path]:
    return [path for path in FILES if not name_of(path).startswith(rooms)]


def those_from(paths: list[Path], *origins: str, at_import_only: bool = False) -> list[str]:
    """`file: module` of what files import, now or later, from the given packages or modules."""
    return [
        f"{name_of(path)}: {module}"
        for path in paths
        for module, at_import in imports(path)
        if (at_import or not at_import_only) and f"{module}.".startswith(tuple(f"{one}." for one in origins))
    ]


def room_of(path: Path) -> str:
    """The room of a file of alignment/: its folder, or its own name where it lies in none."""
    return path.relative_to(REPOSITORY / "alignment").parts[0].removesuffix(".py")


def test_rewards_stands_alone() -> None:
    assert those_from(within("rewards/"), "alignment", "torch", "transformers", "trl", "datasets") == []


def test_what_has_to_answer_at_once_imports_nothing_heavy() -> None:
    assert those_from(within(*LIGHT), *HEAVY, at_import_only=True) == []


def test_deepspeed_is_imported_where_it_is_used_alone() -> None:
    """Imported before a rank's Accelerator is made, it has ZeRO-3 cut the weights up and the trainer take DDP."""
    assert those_from(within("alignment/"), "deepspeed", at_import_only=True) == []


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(path) for path in within("alignment/")} - {"__init__"}
    assert rooms <= set(FLOORS)


def test_imports_go_down_from_room_to_room() -> None:
    """Deferred imports are counted, so that there is no cycle of packages, whenever it is imported."""
    upward = []
    for path in within("alignment/"):
        room = room_of(path)
        for module, _ in imports(path):
            parts = module.split(".")
            if parts[0] == "alignment" and room in FLOORS and FLOORS.index(parts[1]) > FLOORS.index(room):
                upward.append(f"{name_of(path)}: {module}")
    assert upward == []


def test_only_training_imports_trl() -> None:
    assert those_from(outside("alignment/training/"), "trl") == []


def test_the_report_reads_the_run_directory_and_nothing_else() -> None:
    running = (
        "alignment.rollout",
        "alignment.training",
        "alignment.run",
        "alignment.inference",
        "alignment.evaluation",
    )
    assert those_from(within("alignment/report/"), *running) == []


def test_torch_is_imported_only_where_tensors_are() -> None:
    assert those_from(outside(*TENSORS), "torch", "vllm", "deepspeed", "peft") == []


def test_no_two_modules_import_each_other() -> None:
    needs = {module: _needed(path) - {module} for module, path in MODULES.items()}
    assert in_a_circle(needs) == [], "these import each other in a circle"


def test_no_two_folders_of_a_room_import_each_other() -> None:
    """A folder counts as one thing, and a file beside it as another: what holds of rooms holds within them."""
    needs: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        part = part_of(module)
        beside = {part_of(other) for other in _needed(path, deferred=True) if other not in ROOMS}
        needs.setdefault(part, set()).update(one for one in beside - {part} if one.startswith(room_before(part)))
    assert in_a_circle(needs) == [], "these parts of a room import each other in a circle"


def in_a_circle(needs: Mapping[str, set[str]]) -> list[str]:
    """The names that need each other, and those that stand on them."""
    left = dict(needs)
    while freed := [name for name, needed in left.items() if not needed & left.keys()]:
        for name in freed:
            del left[name]
    return sorted(left)


def room_before(part: str) -> str:
    """`alignment.recipe.` of `alignment.recipe.blocks`, `rewards.` of `rewards.kinds`."""
    return f"{part.rpartition('.')[0]}."


def part_of(module: str) -> str:
    """The folder or file of a room in which a module lies: `alignment.recipe.blocks`, `rewards.kinds`."""
    return ".".join(module.split(".")[: 2 if module.startswith("rewards") else 3])


def _needed(path: Path, *, deferred: bool = False) -> set[str]:
    """The project's own modules that a file needs when it is imported, or also later.

    `from package import module` needs the module.
    """
    found = [module for module, at_import in imports(path) if at_import or deferred]
    return {module if module in MODULES else module.rpartition(".")[0] for module in found} & MODULES.keys()
