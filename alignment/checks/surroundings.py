"""Checks of what a recipe needs around it: trackers and the launcher config.

Neighbours: recipe.py (runs the checks), run/launcher.py (launcher configs).
"""

import importlib.util
from collections.abc import Iterator

from alignment.core.errors import RecipeError
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.schema import Recipe
from alignment.run.launcher import launcher_config

TRACKERS = ["tensorboard", "trackio", "wandb"]  # of those that TRL reports to


def trackers(recipe: Recipe) -> Iterator[Issue]:
    """Trackers are known and installed; a missing one would end the first stage after the model is loaded."""
    for index, name in enumerate(recipe.report_to):
        place: Place = ("report_to", index)
        if name not in TRACKERS:
            yield Issue(place, f"there is no tracker `{name}`; {nearest(name, TRACKERS)}")
        elif importlib.util.find_spec(name) is None:
            yield Issue(
                place, f"{name} is not installed; run `uv pip install {name}` in this environment, or remove it"
            )


def surroundings(recipe: Recipe) -> Iterator[Issue]:
    """The launcher config exists, starts as many processes as the recipe says, and shards in a way that is known here."""
    place: Place = ("hardware", "accelerate")
    try:
        config = launcher_config(recipe.hardware)
    except RecipeError as error:
        yield Issue(place, str(error).split(": ", 1)[1])
        return
    if recipe.hardware.processes > 1 and not config.starts_several:
        several = "cpu-ddp, cpu-fsdp2, cpu-2 or cpu-zero3" if config.hides_gpus else "gpu, fsdp2, zero2 or zero3"
        yield Issue(
            ("hardware", "processes"),
            f"found {recipe.hardware.processes}, and {config.path.name} starts one process (distributed_type: "
            f"{config.distributed_type}), which would train on a part of each batch; write 1, or `accelerate:` {several}",
        )
    if config.fsdp_version == 1:
        yield Issue(
            place,
            f"{config.path.name} shards by FSDP 1, whose weights cannot be gathered one by one to be saved and sampled from; "
            "write `fsdp_version: 2` under fsdp_config, as recipes/accelerate/fsdp2.yaml does",
        )
    elif config.loads_on_first:
        yield Issue(
            place,
            f"{config.path.name} has the first process alone load weights, and the other models of a stage (engine, proof of "
            "what is saved) would be empty; write `fsdp_cpu_ram_efficient_loading: false` under fsdp_config",
        )
