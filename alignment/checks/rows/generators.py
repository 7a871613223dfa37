"""Checks the `parameters` of procedural sources, whose names are read from reasoning-gym's source without importing it.

Importing reasoning-gym takes seconds. Unchecked, a wrong name would end a stage only when its data is generated.
tests/house compares the names with the imported classes. Neighbours: recipe/trainer_keys.py (the same for TRL),
data/generators/families.py (the families).
"""

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alignment.data.generators.families import FAMILIES
from alignment.data.parts import placed_parts
from alignment.data.sources.declared import Procedural
from alignment.data.sources.named import is_source, load_source
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.schema import Recipe

OWNED = {"seed": "write `seed` beside `parameters`", "size": "write `count` beside `parameters`"}


def procedural_parameters(recipe: Recipe) -> Iterator[Issue]:
    """Every parameter of a procedural source, in a stage or an evaluation, exists in its family."""
    for index in range(len(recipe.stages)):
        for place, part in placed_parts(recipe, index):
            if part.source is not None and is_source(part.source):
                yield from _issues(part.source, part.parameters, (*place, "parameters"))
    for name in dict.fromkeys([*recipe.evaluations.after_each_stage, *recipe.evaluations.parameters]):
        place = ("evaluations", "parameters", name)
        if name not in recipe.evaluations.after_each_stage:
            yield Issue(
                place,
                f"`{name}` is not a task of after_each_stage; {nearest(name, recipe.evaluations.after_each_stage)}",
            )
        elif is_source(name):
            yield from _issues(name, recipe.evaluations.parameters.get(name, {}), place)


def _issues(name: str, parameters: dict[str, Any], place: Place) -> Iterator[Issue]:
    """Wrong parameters of a source, in the recipe or mixture and in the source's declaration."""
    source = load_source(name)
    if not isinstance(source, Procedural):
        if parameters:
            yield Issue(place, f"`{name}` is a table, which has no parameters; remove them")
        return
    for key, fault in parameter_faults(source.family, source.parameters):
        yield Issue(place, f"the declaration of `{name}` has `{key}`: {fault}")
    for key, fault in parameter_faults(source.family, parameters):
        yield Issue((*place, key), f"`{name}` has no parameter `{key}`: {fault}")


def parameter_faults(family: str, parameters: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each parameter that a family does not have, with what to write instead."""
    known, generator = parameter_names(family), FAMILIES[family].generator
    if known is None:
        return
    for key in parameters:
        if generator is not None and key in OWNED:
            yield key, f"it is set elsewhere: {OWNED[key]}"
        elif key not in known:
            maker = f"reasoning-gym's {generator}" if generator is not None else f"the family {family}"
            yield key, f"{maker} has no such parameter; {nearest(key, sorted(known - OWNED.keys()))}"


def parameter_names(family: str) -> frozenset[str] | None:
    """Names of a family's parameters, or None if reasoning-gym's source cannot be read."""
    found = FAMILIES[family]
    return frozenset(found.parameters) if found.generator is None else _fields(found.generator)


@cache
def _fields(generator: str) -> frozenset[str] | None:
    """The fields of the config dataclass that a generator's module registers."""
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
    """The third argument of `register_dataset(name, dataset, config, ...)`; empty without such a call."""
    for node in tree.body:
        call = node.value if isinstance(node, ast.Expr) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "register_dataset" and len(call.args) > 2:
            return ast.unparse(call.args[2])
    return ""
