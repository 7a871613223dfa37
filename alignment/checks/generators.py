"""Which `parameters` a procedural source takes, read from reasoning-gym's own source without importing it.

Importing reasoning-gym costs seconds, and one wrong name would end a stage when its data is drawn, hours later perhaps.
tests/house holds this reading against the imported classes. Neighbours: trainer_keys.py (the same for TRL),
procedural.py (the families).
"""

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alignment.data.generators.families import FAMILIES
from alignment.data.parts import placed_parts
from alignment.data.sources import Procedural, load_source, source_names
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.schema import Recipe

OWNED = {"seed": "write `seed` beside `parameters`", "size": "write `count` beside `parameters`"}


def procedural_parameters(recipe: Recipe) -> Iterator[Issue]:
    """Every parameter of a stage's or an evaluation's procedural source is one that its family has."""
    for index in range(len(recipe.stages)):
        for place, part in placed_parts(recipe, index):
            if part.source in source_names():
                yield from _problems(part.source, part.parameters, (*place, "parameters"))
    for name in dict.fromkeys([*recipe.evaluations.after_each_stage, *recipe.evaluations.parameters]):
        place = ("evaluations", "parameters", name)
        if name not in recipe.evaluations.after_each_stage:
            yield Issue(place, f"`{name}` is not measured; {nearest(name, recipe.evaluations.after_each_stage)}")
        elif name in source_names():
            yield from _problems(name, recipe.evaluations.parameters.get(name, {}), place)


def _problems(name: str, parameters: dict[str, Any], place: Place) -> Iterator[Issue]:
    """What is wrong with the parameters that a recipe or a mixture gives a source, and with the source's own."""
    source = load_source(name)
    if not isinstance(source, Procedural):
        if parameters:
            yield Issue(place, f"`{name}` is a table, which takes no parameters; leave them out")
        return
    for key, problem in parameter_problems(source.family, source.parameters):
        yield Issue(place, f"the declaration of `{name}` gives it `{key}`: {problem}")
    for key, problem in parameter_problems(source.family, parameters):
        yield Issue((*place, key), f"`{name}` takes no `{key}`: {problem}")


def parameter_problems(family: str, parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each parameter that a family cannot take, and why."""
    known, generator = parameter_names(family), FAMILIES[family].generator
    if known is None:
        return
    for key in parameters:
        if generator is not None and key in OWNED:
            yield key, f"it is decided elsewhere: {OWNED[key]}"
        elif key not in known:
            maker = f"reasoning-gym's {generator}" if generator is not None else f"the family {family}"
            yield key, f"{maker} has no such parameter; {nearest(key, sorted(known - OWNED.keys()))}"


def parameter_names(family: str) -> frozenset[str] | None:
    """The parameters of a family, or None where reasoning-gym's source cannot be read."""
    found = FAMILIES[family]
    return frozenset(found.parameters) if found.generator is None else _fields(found.generator)


@cache
def _fields(generator: str) -> frozenset[str] | None:
    """The fields of the config dataclass that a generator is registered with, in the one module that bears its name."""
    spec = importlib.util.find_spec("reasoning_gym")
    if spec is None or spec.origin is None:
        return None
    modules = sorted(Path(spec.origin).parent.glob(f"*/{generator}.py"))
    try:
        (tree,) = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    except (OSError, ValueError, SyntaxError):
        return None
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    config = classes.get(_registered_config(tree))
    if config is None or config.bases:  # a parent would have fields of its own
        return None
    fields = [item.target for item in config.body if isinstance(item, ast.AnnAssign)]
    return frozenset(target.id for target in fields if isinstance(target, ast.Name))


def _registered_config(tree: ast.Module) -> str:
    """The class named third in `register_dataset(name, dataset, config, ...)`; empty where there is no such call."""
    for node in tree.body:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "register_dataset" and len(call.args) > 2:
            return ast.unparse(call.args[2])
    return ""
