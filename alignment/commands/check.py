"""`alignment check`: prints every error of a recipe, or its plan."""

from alignment.commands.options import Overrides, RecipeFile


def check(recipe: RecipeFile, set_: Overrides = None) -> None:
    """Check a recipe; print every error, or the plan. Starts nothing and needs no GPU."""

    from alignment.checks.plan import print_plan
    from alignment.checks.recipe import checked
    from alignment.core.console import open_console

    print_plan(checked(recipe, set_ or []), open_console())
