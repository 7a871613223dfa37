"""Shared by the kinds that train on rows: their line in `alignment check`'s plan."""

from alignment.recipe.stage import TrainingStage

# Keys of a TRL config that measure held-out rows, which the stage sets itself.
MEASURING_KEYS = dict.fromkeys(
    ("eval_strategy", "eval_steps", "eval_on_start", "eval_delay", "per_device_eval_batch_size",
     "eval_accumulation_steps", "load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
    "write `held_out` beside `trainer`",
)  # fmt: skip


def steps_or_epochs(stage: TrainingStage) -> str:
    """How long a stage trains on rows: `40 steps`, or `3 epochs`."""
    steps, epochs = stage.trainer.get("max_steps", -1), stage.trainer.get("num_train_epochs", 3)
    return f"{steps} steps" if steps > 0 else f"{epochs} epochs"


def rows_of_batch(stage: TrainingStage) -> int:
    """Rows per device and forward pass."""
    return int(stage.trainer.get("per_device_train_batch_size", 8))
