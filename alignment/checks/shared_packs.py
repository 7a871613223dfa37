"""Checks of `sequence_parallel`: the processes that share packs can share them, and DeepSpeed's gradients are what they should be.

Neighbours: recipe.py (runs the checks), training/sequence_parallel.py (what is checked here).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from alignment.checks.model.folder import ModelFolder
from alignment.core.errors import RecipeError
from alignment.core.resources import model_place
from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe
from alignment.recipe.shareable import unshareable
from alignment.run.launcher import launcher_config
from alignment.sizing.shape import shape_of


def shared_packs(recipe: Recipe) -> Iterator[Issue]:
    """Each stage with sequence_parallel has ZeRO-3, whole groups of processes, one pack at a time, and heads to exchange."""
    for index, stage in enumerate(recipe.stages):
        sharing = getattr(stage, "sequence_parallel", 1)
        if sharing == 1:
            continue
        trainer = getattr(stage, "trainer", {})
        own = (_rows(trainer), _idle_settings(trainer), _model(recipe, sharing))
        for message in (_by_launcher(recipe), _groups(recipe, sharing), *own):
            if message is not None:
                yield Issue(("stages", index, "sequence_parallel"), message)


def _by_launcher(recipe: Recipe) -> str | None:
    try:
        config = launcher_config(recipe.hardware)
    except RecipeError:
        return None  # surroundings says what is wrong with it
    if config.is_zero3:
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


def _rows(trainer: Mapping[str, Any]) -> str | None:
    """Why a batch is no single pack; the trainer's own default is eight rows."""
    rows = trainer.get("per_device_train_batch_size", 8)
    if rows == 1:
        return None
    return (
        f"processes share one pack at a time, and per_device_train_batch_size is {rows}; write 1 under `trainer`, and "
        "gradient_accumulation_steps for more packs a step"
    )


def _model(recipe: Recipe, sharing: int) -> str | None:
    """Why the model's packs cannot be shared, by its config; of a model that is not here by what is known of its shape."""
    config = dict(ModelFolder.of(recipe.model).text_config)
    if not config and (shape := shape_of(model_place(recipe.model), recipe.revision)) is not None:
        config = {"num_attention_heads": shape.heads, "num_key_value_heads": shape.key_heads}
    return unshareable(config, sharing)


def _idle_settings(trainer: Mapping[str, Any]) -> str | None:
    """Why a setting of the trainer does not go together with parts of packs."""
    accelerator = trainer.get("accelerator_config")
    wrong = {
        "loss_type: dft": trainer.get("loss_type") == "dft",
        "label_smoothing_factor": bool(trainer.get("label_smoothing_factor")),
        "average_tokens_across_devices: false": trainer.get("average_tokens_across_devices") is False,
        "accelerator_config.dispatch_batches": isinstance(accelerator, Mapping)
        and bool(accelerator.get("dispatch_batches")),
    }
    found = ", ".join(name for name, one in wrong.items() if one)
    return f"a part of a pack cannot be trained with {found}; leave that out" if found else None
