"""`alignment check`: everything about a recipe that cannot work, or the plan if all is well."""

from alignment.commands.options import Overrides, RecipeFile


def check(recipe: RecipeFile, set_: Overrides = None) -> None:
    """Find what cannot work; print the plan. Nothing is started, and no GPU is needed."""
    from rich.console import Console

    from alignment.checks.plan import print_plan
    from alignment.checks.recipe import checked

    print_plan(checked(recipe, set_ or []), Console())
