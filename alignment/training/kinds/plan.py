"""Shared by the kinds that train on rows: their line in `alignment check`'s plan."""

from alignment.recipe.stage import TrainingStage


def steps_or_epochs(stage: TrainingStage) -> str:
    """How long a stage trains on rows: `40 steps`, or `3 epochs`."""
    steps, epochs = stage.trainer.get("max_steps", -1), stage.trainer.get("num_train_epochs", 3)
    return f"{steps} steps" if steps > 0 else f"{epochs} epochs"


def rows_of_batch(stage: TrainingStage) -> int:
    """Rows per device and forward pass."""
    return int(stage.trainer.get("per_device_train_batch_size", 8))
