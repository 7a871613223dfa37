"""Checks of the stages as a list: their names, what each takes from earlier ones, and the checks of its own kind.

Neighbours: recipe.py (runs the checks), rows/parts.py (the sources of a stage), recipe/kinds.py (what a kind takes and gives).
"""

from collections.abc import Iterator

from alignment.checks.rows.parts import gives_problems
from alignment.data.parts import placed_parts
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe


def stage_order(recipe: Recipe) -> Iterator[Issue]:
    """Stage names are unique, and a stage only uses policies and rows of earlier stages."""
    names = recipe.stage_names
    for index, stage in enumerate(recipe.stages):
        place: Place = ("stages", index)
        if names.index(stage.name) < index:
            yield Issue((*place, "name"), f"two stages are called `{stage.name}`; give each a different name")
        earlier = recipe.stages[:index]
        trained = [other.name for other in earlier if kind_of(other).leaves_policy]
        if stage.start_from is not None and stage.start_from not in trained:
            yield Issue((*place, "start_from"), _not_before(stage.start_from, stage.name, names, trained, "a policy"))
        takes = kind_of(stage).takes
        giving = [other.name for other in earlier if takes in kind_of(other).gives]
        for part_place, part in placed_parts(recipe, index):
            if part.stage is None or part.stage in giving:
                continue
            if takes != "problems" or gives_problems(recipe, part.stage):  # else reported with the data
                yield Issue((*part_place, "stage"), _not_before(part.stage, stage.name, names, giving, takes))


def _not_before(name: str, stage: str, names: list[str], allowed: list[str], needed: str) -> str:
    """Why a stage cannot take what it needs (a policy, rows, pairs) from the stage of that name."""
    if name == stage:
        return f"`{name}` cannot use its own output; name an earlier stage"
    if name in names[names.index(stage) :]:
        return f"`{name}` runs after `{stage}`, which would be a cycle; move it before"
    if name in names:
        return f"`{name}` leaves no {needed.removeprefix('a ')}; {nearest(name, allowed)}"
    return f"no stage before this one that leaves {needed} is called `{name}`; {nearest(name, allowed)}"


def own_checks(recipe: Recipe) -> Iterator[Issue]:
    """The checks that each kind has for its own stages."""
    for index, stage in enumerate(recipe.stages):
        for check in kind_of(stage).checks:
            yield from check(recipe, index, stage)
