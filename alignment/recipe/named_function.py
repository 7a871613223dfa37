"""`module:function` in a recipe: a function of the user's own, found by name.

Naming one runs that module's code, as running the user's own script would; nothing that comes with a model or a data
set is ever named so. Modules are looked for where Python looks, and in the folder from which the command was started.
"""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alignment.core.errors import RecipeError

NAMED_FUNCTION = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"


def named_function(name: str, parameters: tuple[str, ...]) -> Callable[..., Any]:
    """The function that `module:function` names, which must take so many positional arguments.

    parameters: what each argument is called in the documentation. Raises RecipeError that says what was found.
    """
    module_name, _, function_name = name.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise RecipeError(
            f"`{name}`: module `{module_name}` cannot be imported ({error}); it has to be installed, or to lie in the "
            f"folder from which the command is started, {folder}"
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
