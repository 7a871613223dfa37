"""Imports go downhill: rewards ← recipe, data, artifact, pipeline ← rollout, evaluation ← stages ← the command line."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FILES = sorted([*REPOSITORY.glob("rewards/**/*.py"), *REPOSITORY.glob("alignment/**/*.py")])

HEAVY = ("torch", "transformers", "trl", "vllm", "deepspeed", "peft", "accelerate", "datasets", "reasoning_gym",
         "matplotlib")  # fmt: skip
# What a person waits for when a check or a command line starts: none of it may be heavy, or reach for what is.
LIGHT = ("rewards/", "alignment/recipe/", "alignment/data/", "alignment/artifact.py", "alignment/pipeline.py",
         "alignment/attempts.py", "alignment/cli/", "alignment/journey.py", "alignment/launch.py", "alignment/watch.py", "alignment/page.py",
         "alignment/lineage.py",
         "alignment/environment.py", "alignment/progress.py", "alignment/report/", "alignment/evaluation/identity.py",
         "alignment/evaluation/command.py", "alignment/evaluation/evaluate_options.py", "alignment/evaluation/sweep_command.py",
         "alignment/evaluation/sweep_files.py", "alignment/evaluation/sweep_options.py",
         "alignment/evaluation/sweep_plan.py", "alignment/policies.py", "alignment/rollout/engine.py",
         "alignment/doctor.py", "alignment/chat.py", "alignment/model.py", "alignment/audit_command.py",
         "alignment/lint_command.py", "alignment/server/command.py", "alignment/server/middleware.py",
         "alignment/server/requests.py", "alignment/evaluation/adaptive.py", "alignment/evaluation/adapt_command.py")  # fmt: skip
# The two that a check and the journey may reach for: they decide without running anything.
LIGHT_ABOVE = ("alignment.rollout.engine.vllm_problem", "alignment.evaluation.identity.")
TORCH_ROOMS = ("alignment/attention/", "alignment/stages/", "alignment/rollout/", "alignment/base_model/",
               "alignment/model.py", "alignment/server/budget_processor.py")  # fmt: skip


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


def test_rewards_stands_alone() -> None:
    assert those_from(within("rewards/"), "alignment", "torch", "transformers", "trl", "datasets") == []


def test_what_has_to_answer_at_once_imports_nothing_heavy() -> None:
    assert those_from(within(*LIGHT), *HEAVY, at_import_only=True) == []


def test_recipe_data_artifact_and_pipeline_look_up_to_nothing() -> None:
    files = within("alignment/recipe/", "alignment/data/", "alignment/artifact.py", "alignment/pipeline.py")
    above = ("alignment.rollout", "alignment.evaluation", "alignment.stages", "alignment.report", "alignment.cli")
    assert [found for found in those_from(files, *above) if not found.split(": ")[1].startswith(LIGHT_ABOVE)] == []


def test_only_stages_import_stages_and_trl() -> None:
    assert those_from(outside("alignment/stages/"), "alignment.stages", "trl") == []


def test_the_report_reads_the_run_directory_and_nothing_else() -> None:
    running = ("alignment.rollout", "alignment.pipeline", "alignment.journey", "alignment.launch")
    assert those_from(within("alignment/report/"), *running) == []


def test_torch_is_imported_only_where_tensors_are() -> None:
    assert those_from(outside(*TORCH_ROOMS), "torch", "vllm", "deepspeed", "peft") == []


def test_no_two_modules_import_each_other() -> None:
    modules = {name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}
    left = {module: _needed(path, set(modules)) - {module} for module, path in modules.items()}
    while freed := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in freed:
            del left[module]
    assert sorted(left) == [], "these import each other in a circle"


def _needed(path: Path, modules: set[str]) -> set[str]:
    """The project's own modules that a file needs when it is imported; `from package import module` needs the module."""
    found = [module for module, at_import in imports(path) if at_import]
    return {module if module in modules else module.rpartition(".")[0] for module in found} & modules
