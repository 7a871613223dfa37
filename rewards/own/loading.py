"""Finds and imports what a person names as their own: `FILE.py:NAME`, `python:MODULE.NAME` or `MODULE:NAME`.

Importing runs that code, as running a script would; whoever calls `load` decides in which process. Every error says the
file and its line. Neighbours: inside.py (loads in a worker process), description.py (what is known of a reward without that).
"""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rewards.errors import RewardsError

PYTHON = "python:"
# What importing or calling code that nobody here has read may raise.
FAULTS = (
    ImportError, AttributeError, NameError, SyntaxError, TypeError, ValueError, LookupError, ArithmeticError,
    AssertionError, RuntimeError, OSError, MemoryError, EOFError, StopIteration,
)  # fmt: skip


class OwnCodeError(RewardsError):
    """Code of the user's own that cannot be used; says which file and line, and why."""


@dataclass(frozen=True)
class OwnName:
    """A name of one's own, taken apart: the file or the module, and what in it is meant."""

    written: str
    file: Path | None  # None for a module that Python's path has to find
    module: str
    attribute: str

    @property
    def short(self) -> str:
        """The name as people say it, without folders: `my_rewards.py:brevity`."""
        return f"{self.file.name}:{self.attribute}" if self.file else self.written.removeprefix(PYTHON)


def is_own(name: object) -> bool:
    """Whether a name is one of the user's own, and not that of a kind."""
    return isinstance(name, str) and ":" in name


def own_name(name: str) -> OwnName:
    """A name taken apart. Raises OwnCodeError for one in no known form."""
    place, _, attribute = name.rpartition(":")
    if name.startswith(PYTHON) and place + ":" == PYTHON:
        place, _, attribute = name.removeprefix(PYTHON).rpartition(".")
    place = place.removeprefix(PYTHON)
    if not place or not attribute.isidentifier():
        raise OwnCodeError(
            f"`{name}` names no code; write FILE.py:NAME or python:MODULE.NAME, such as my_rewards.py:brevity"
        )
    if place.endswith(".py"):
        return OwnName(name, Path(place), Path(place).stem, attribute)
    return OwnName(name, None, place, attribute)


def beside(name: str, folder: Path) -> str:
    """The name with an absolute path, where it means a file of a folder; else as it stands."""
    try:
        own = own_name(name)
    except OwnCodeError:
        return name
    if own.file is not None:
        return f"{(folder / own.file.expanduser()).resolve()}:{own.attribute}"
    parts = own.module.split(".")
    for file in (folder.joinpath(*parts).with_suffix(".py"), folder.joinpath(*parts, "__init__.py")):
        if all(part.isidentifier() for part in parts) and file.is_file():
            return f"{file.resolve()}:{own.attribute}"
    return name


def load(name: str) -> Any:
    """What a name means, imported into this process. Raises OwnCodeError."""
    own = own_name(name)
    module = _module(own)
    if not hasattr(module, own.attribute):
        known = [one for one in vars(module) if not one.startswith("_")]
        near = difflib.get_close_matches(own.attribute, known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known) or 'nothing'}"
        raise OwnCodeError(f"{_shown(own)} has no `{own.attribute}`; {hint}")
    return getattr(module, own.attribute)


def code_files(name: str) -> dict[str, str]:
    """SHA-256 of the file that a name means and of the files beside it that it imports, by name; nothing is run.

    Empty for a module that is installed elsewhere, and for a file that is not there.
    """
    own = own_name(name)
    file = own.file if own.file is not None else _installed(own.module)
    if file is None or not file.is_file():
        return {}
    file = file.resolve()
    found: dict[Path, bytes] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found[path] = path.read_bytes()
            waiting += _imported_beside(path, found[path], _package_root(file))
    root = _package_root(file)
    names = {path: path.relative_to(root).as_posix() for path in found}
    return {names[path]: hashlib.sha256(text).hexdigest() for path, text in sorted(found.items())}


def where(error: BaseException, folder: Path | None) -> str:
    """`my_rewards.py:7: ValueError: why`, at the last line of the error that lies in a folder of the user's.

    folder: None where the code is not found at all.
    """
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: {said}"
    if folder is None:
        return said
    frames = traceback.extract_tb(error.__traceback__)
    own = [one for one in frames if one.filename.startswith(f"{folder}/")]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}: {said}" if own else said


def folder_of(name: str) -> Path:
    """The folder that the code of a name lies in; the current one where that is not known."""
    own = own_name(name)
    file = own.file if own.file is not None else _installed(own.module)
    return file.resolve().parent if file is not None else Path.cwd()


def _module(own: OwnName) -> ModuleType:
    if own.file is None:
        try:
            return importlib.import_module(own.module)
        except FAULTS as error:
            installed = _installed(own.module)
            at = where(error, installed.parent if installed is not None else None)
            advice = "put it beside the recipe, or install it" if isinstance(error, ModuleNotFoundError) else "fix it"
            raise OwnCodeError(f"`{own.written}`: {own.module} cannot be imported ({at}); {advice}") from error
    # Python keeps bytecode by a file's size and whole seconds: an edit within one would not be seen.
    sys.dont_write_bytecode = True
    file = own.file.expanduser().resolve()
    if not file.is_file():
        raise OwnCodeError(f"there is no file {file}; paths are relative to the recipe")
    try:
        return _imported(file)
    except FAULTS as error:
        raise OwnCodeError(
            f"{where(error, file.parent)}; {file.name} cannot be imported before this is fixed"
        ) from error


def _imported(file: Path) -> ModuleType:
    """A file as a module under its own name, or another where that is taken; modules beside it can be imported, too."""
    folder = _package_root(file)
    parts = list(file.relative_to(folder).with_suffix("").parts)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    if len(parts) > 1:
        return importlib.import_module(name)
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    if known is not None or (found := importlib.util.find_spec(name)) is None or found.origin != str(file):
        name = f"own_code_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{name}"
        if name in sys.modules:
            return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise OwnCodeError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _installed(module: str) -> Path | None:
    """The file of a module on Python's path, without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


def _package_root(file: Path) -> Path:
    """The folder from which a file is imported: its own, or the one above the package that it is in."""
    folder = file.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _imported_beside(path: Path, text: bytes, root: Path) -> list[Path]:
    """The files of its folder, or of one above it up to the root, that a file imports, by its text."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [node.module] if node.module else [one.name for one in node.names]
    tops = {name.split(".")[0] for name in names}
    folders = [one for one in (path.parent, *path.parent.parents) if one == root or root in one.parents]
    files = [folder / f"{top}.py" for folder in folders for top in tops]
    files += [one for folder in folders for top in tops for one in (folder / top).glob("**/*.py")]
    return [one for one in files if one.is_file()]


def _shown(own: OwnName) -> str:
    return own.file.name if own.file else own.module
