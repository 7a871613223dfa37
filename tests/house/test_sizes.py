"""Small and whole: files and functions fit a head, names say what a thing is, and nothing is caught or run blindly."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
FILES = sorted(
    path for room in ("rewards", "alignment", "tests", "benchmarks") for path in REPOSITORY.glob(f"{room}/**/*.py")
)
PRODUCT = [path for path in FILES if path.relative_to(REPOSITORY).parts[0] in ("rewards", "alignment")]
TEXTS = sorted(
    path
    for pattern in (
        "*.md",
        "*.toml",
        "*.txt",
        "*.sh",
        "Makefile",
        "recipes/**/*",
        "data/**/*.yaml",
        "docs/**/*",
        ".ci/*",
    )
    for path in REPOSITORY.glob(pattern)
    if path.is_file()
)

LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 400, 60, 7
# Files in which anything at all may be caught, each with its reason. Everywhere else a fault has to have a name.
BLIND: dict[str, str] = {
    "rewards/sandbox/inside/candidate.py": "a model's program may raise anything, and is told apart by what it raised",
    "rewards/sandbox/inside/examiner.py": "so may a data set's test code",
    "rewards/sandbox/inside/states.py": "so may a value of it, when it is asked what it is",
    "rewards/own/inside.py": "a reward of the user's own may raise anything, and what it raised is its verdict",
    "alignment/rollout/environments/trl.py": "a tool of TRL's shape may raise anything, and the policy is shown what it raised",
    "rewards/sandbox/workers.py": "an error in a worker's thread is raised where its finding is waited for",
}
# Rooms in which text is run as a program, each with its reason.
RUNS_TEXT = {"rewards/sandbox/": "a candidate's program is what the sandboxed process is for"}
# Towards a program, which is the side that is not trusted, orders travel as marshal; what comes from one is JSON.
MARSHALS = {
    "rewards/sandbox/inside/wire.py": ["marshal.dumps", "marshal.loads"],
    "rewards/sandbox/inside/candidate.py": ["stream.order", "stream.order"],
    "rewards/sandbox/inside/examiner.py": ["judge.order"],
}
PACKAGE_INDEX = {"setup.sh": "PyTorch's own index has the CPU build, for machines without a GPU"}


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree(path)))


def each(paths: list[Path], *kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """`(file:line, node)` of every node of the given kinds."""
    for path in paths:
        for node in nodes(path):
            if isinstance(node, kinds):
                yield f"{name_of(path)}:{getattr(node, 'lineno', 1)}", node


def holding(pattern: str, allowed: dict[str, str]) -> list[str]:
    """`file: what was found` of every text and program in which a pattern stands."""
    found = []
    for path in [*FILES, *TEXTS]:
        match = re.search(pattern, path.read_text(encoding="utf-8", errors="ignore"))
        if match and path != Path(__file__) and name_of(path) not in allowed:
            found.append(f"{name_of(path)}: {match[0]}")
    return found


def test_files_fit_a_head() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_functions_fit_a_screen() -> None:
    found = each(PRODUCT, ast.FunctionDef, ast.AsyncFunctionDef)
    assert [f"{where} {node.name}" for where, node in found if node.end_lineno - node.lineno >= LONGEST_FUNCTION] == []


def test_functions_take_a_handful_of_things() -> None:
    """Commands take one for each of their options."""
    many = []
    for where, node in each(PRODUCT, ast.FunctionDef, ast.AsyncFunctionDef):
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        command = where.startswith(
            (f"alignment/commands/{node.name}.py", f"alignment/commands/{node.name}/__init__.py")
        )
        taken = [argument.arg for argument in given if argument.arg not in ("self", "cls")]
        if len(taken) > MOST_PARAMETERS and not command:
            many.append(f"{where} {node.name} takes {len(taken)}")
    assert many == []


def test_names_say_what_a_thing_is() -> None:
    classes = [f"{where} {node.name}" for where, node in each(PRODUCT, ast.ClassDef)]
    assert [name for name in classes if re.search(r"(Manager|Helper|Impl|Utils?)$", name)] == []
    assert [name_of(path) for path in FILES if path.stem in ("utils", "util", "helpers", "misc", "common")] == []


def test_two_levels_of_inheritance_are_enough() -> None:
    bases = {node.name: {ast.unparse(base) for base in node.bases} for _, node in each(PRODUCT, ast.ClassDef)}

    def depth(name: str) -> int:
        return 1 + max((depth(base) for base in bases[name] if base in bases), default=0)

    # The stages of a recipe are fields upon fields (Closed, StageFields, TrainingStage, SftStage), without behaviour.
    assert {name for name in bases if depth(name) > 3 and bases[name] != {"TrainingStage"}} == set()


def test_every_file_opens_with_what_it_is_for() -> None:
    assert [name_of(path) for path in FILES if tree(path).body and not ast.get_docstring(tree(path))] == []


def test_nothing_is_caught_blindly() -> None:
    blind = []
    for where, node in each(FILES, ast.ExceptHandler):
        caught = ast.unparse(node.type) if node.type else "BaseException"
        passed_on = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
        if re.search(r"\b(Base)?Exception\b", caught) and not passed_on and where.split(":")[0] not in BLIND:
            blind.append(f"{where} except {caught}")
    assert blind == []


def test_no_text_is_run() -> None:
    run = [f"{where} {ast.unparse(node.func)}" for where, node in each(PRODUCT, ast.Call)]
    found = [name for name in run if re.search(r" (eval|exec|compile|__import__)$", name)]
    assert [name for name in found if not name.startswith(tuple(RUNS_TEXT))] == []


def test_nothing_is_unpickled() -> None:
    calls = [(f"{where} {ast.unparse(node.func)}", ast.unparse(node)) for where, node in each(PRODUCT, ast.Call)]
    assert [name for name, _ in calls if re.search(r" (pickle|cPickle|dill|joblib|shelve)\.", name)] == []
    marshalled: dict[str, list[str]] = {}
    for name, _ in calls:
        if found := re.search(r"^([^:]+):\d+ (marshal\.\w+|\w+\.order)$", name):
            marshalled.setdefault(found[1], []).append(found[2])
    towards = {name: [one for one in found if one != "wire.order"] for name, found in marshalled.items()}
    assert {name: found for name, found in towards.items() if found} == MARSHALS
    loads = [name for name, text in calls if name.endswith("torch.load") and "weights_only=True" not in text]
    assert loads == []


def test_no_package_index_is_written_down() -> None:
    address = r"https?://\S*(pypi|/simple\b|/whl\b)|--(extra-)?index-url[ =]\S*https?://"
    assert holding(address, PACKAGE_INDEX) == []


def test_code_that_comes_with_a_model_is_never_trusted_unasked() -> None:
    assert holding(r"trust_remote_code\s*[=:]\s*[Tt]rue", {}) == []


def test_no_path_of_a_machine_is_written_down() -> None:
    assert holding(r"(?<![\w.])/(home|Users|root|mnt|work)/\w+", {}) == []
