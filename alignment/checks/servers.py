"""Checks of engine servers: ranks on other machines reach them, and an adapter that is sent alone is one that is trained.

Neighbours: rollouts.py (asks for these), inference/vllm/server/ (the servers).
"""

from collections.abc import Iterator

from alignment.core.errors import RecipeError
from alignment.recipe.blocks.engine import EngineOptions, VllmServerOptions
from alignment.recipe.issue import Issue, Place
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import StageFields, rollout_of
from alignment.run.launcher import launcher_config


def reachable(place: Place, options: EngineOptions, recipe: Recipe) -> Iterator[Issue]:
    """Engine servers that the first rank starts can be reached by the ranks of other machines."""
    if not isinstance(options, VllmServerOptions) or options.endpoints or not options.interface.startswith("127."):
        return
    try:
        several = launcher_config(recipe.hardware).several_machines
    except RecipeError:  # checks/recipe.py says what is wrong with it
        return
    if several:
        told = (
            f"{options.interface} is reached from one machine alone, and the launcher config names several; write the "
            "first machine's own address, or `endpoints`"
        )
        yield Issue((*place, "engine", "interface"), told)


def adapters(place: Place, stage: StageFields) -> Iterator[Issue]:
    """An engine that takes an adapter alone samples for a stage that trains one."""
    rollout = rollout_of(stage)
    asked = rollout is not None and getattr(rollout.engine, "weight_transfer", None) == "lora"
    if asked and getattr(stage, "lora", None) is None:
        told = "lora sends an adapter, and this stage trains none; write auto, or add a `lora` block"
        yield Issue((*place, "engine", "weight_transfer"), told)
