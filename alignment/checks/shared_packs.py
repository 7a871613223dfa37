"""Checks of `sequence_parallel`: the processes that share packs can share them, and DeepSpeed's gradients are what they should be.

Neighbours: recipe.py (runs the checks), training/sequence_parallel.py (what is checked here).
"""

from collections.abc import Iterator

from alignment.core.errors import RecipeError
from alignment.core.resources import model_place
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe
from alignment.run.launcher import launcher_config
from alignment.sizing.shape import shape_of


def shared_packs(recipe: Recipe) -> Iterator[Issue]:
    """Each stage with sequence_parallel has ZeRO-3, whole groups of processes, one pack at a time, and heads to exchange."""
    for index, stage in enumerate(recipe.stages):
        sharing = getattr(stage, "sequence_parallel", 1)
        if sharing == 1:
            continue
        rows = _rows(getattr(stage, "trainer", {}))
        for message in (_by_launcher(recipe), _groups(recipe, sharing), rows, _heads(recipe, sharing)):
            if message is not None:
                yield Issue(("stages", index, "sequence_parallel"), message)


def _by_launcher(recipe: Recipe) -> str | None:
    try:
        config = launcher_config(recipe.hardware)
    except RecipeError:
        return None  # surroundings says what is wrong with it
    if config.zero_stage == 3:
        return None
    wanted = "cpu-zero3" if config.hides_gpus else "zero3"
    return (
        f"packs are shared by DeepSpeed with ZeRO-3, and {config.path.name} has {config.sharding}; write "
        f"`hardware: {{accelerate: {wanted}}}`, or leave sequence_parallel out"
    )


def _groups(recipe: Recipe, sharing: int) -> str | None:
    processes = recipe.hardware.processes
    if processes % sharing == 0:
        return None
    return (
        f"{processes} processes (hardware.processes) are no whole groups of {sharing}; write a divisor of {processes}"
    )


def _rows(trainer: dict[str, object]) -> str | None:
    """Why a batch is no single pack; the trainer's own default is eight rows."""
    rows = trainer.get("per_device_train_batch_size", 8)
    if rows == 1:
        return None
    return (
        f"processes share one pack at a time, and per_device_train_batch_size is {rows}; write 1 under `trainer`, and "
        "gradient_accumulation_steps for more packs a step"
    )


def _heads(recipe: Recipe, sharing: int) -> str | None:
    shape = shape_of(model_place(recipe.model), recipe.revision)
    if shape is None or shape.heads_for(sharing):
        return None
    return (
        f"{sharing} processes cannot divide {shape.heads} attention heads and {shape.key_heads} of keys equally among them; "
        "write a number that divides both, or that the second divides"
    )
