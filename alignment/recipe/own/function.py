"""`module:function` in a recipe: imports a function of the user's own.

Importing runs that module's code, like running a script of the user's; nothing that comes with a model or data set is
imported this way. Modules are found on Python's path and in the current folder. Neighbour: recipe/blocks/algorithm.py.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alignment.core.errors import RecipeError

NAMED_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def named_function(name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """Import the function that `module:function` names.

    parameters: the names of the positional arguments that it must take. Raises RecipeError if it cannot be used.
    """
    module_name, _, function_name = name.partition(":")
    folder = _seen_from_here()
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise RecipeError(
            f"`{name}`: module `{module_name}` cannot be imported ({error}); install it, or put it into the "
            f"current folder, {folder}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        found = sorted(one for one, value in vars(module).items() if inspect.isfunction(value) and one[0] != "_")
        raise RecipeError(
            f"`{name}`: {module.__file__} has no function `{function_name}`; it has {', '.join(found) or 'none'}"
        )
    try:
        inspect.signature(function).bind(*parameters)
    except TypeError as error:
        raise RecipeError(
            f"`{name}` is called with ({', '.join(parameters)}) and takes {inspect.signature(function)}: {error}"
        ) from error
    return function


def source_file(name: str) -> Path | None:
    """The file in which `module:function` is written, without running it; None where there is none."""
    _seen_from_here()
    try:
        spec = importlib.util.find_spec(name.partition(":")[0])
    except ModuleNotFoundError:
        return None
    return None if spec is None or spec.origin is None else Path(spec.origin)


def _seen_from_here() -> str:
    """Look for modules in the folder of the command as well, after all others; returns that folder."""
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    return folder
