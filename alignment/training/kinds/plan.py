"""Shared by kinds that train: their line in `alignment check`'s plan, and checks of batches and of models with a new head."""

from collections.abc import Iterator
from typing import Protocol

from alignment.recipe.issue import Issue
from alignment.recipe.schema import Recipe
from alignment.recipe.stage import TrainingStage

# Keys of a TRL config that measure held-out rows, which the stage sets itself.
MEASURING_KEYS = dict.fromkeys(
    ("eval_strategy", "eval_steps", "eval_on_start", "eval_delay", "per_device_eval_batch_size",
     "eval_accumulation_steps", "load_best_model_at_end", "metric_for_best_model", "greater_is_better", "do_eval",
     "batch_eval_metrics", "bf16_full_eval", "fp16_full_eval", "eval_do_concat_batches", "eval_use_gather_object",
     "include_for_metrics", "prediction_loss_only", "label_names"),
    "write `held_out` beside `trainer`",
)  # fmt: skip
# Keys of a TRL config by which TRL would make token ids of rows, which the stage does itself.
ROW_KEYS = {
    "dataset_num_proc": "it has no effect: the stage renders its rows itself; leave it out",
    "pad_token": "it is the tokenizer's own, and what the stage leaves would have another; leave it out",
}

MAX_MICRO_BATCH = 65_536  # the largest that an error message proposes


class StepRollout(Protocol):
    """How many completions a step samples: the `rollout` of a kind that trains on its own samples."""

    @property
    def problems_per_step(self) -> int: ...

    @property
    def generations(self) -> int: ...


def micro_batches(recipe: Recipe, index: int, rollout: StepRollout, micro_batch: int) -> Iterator[Issue]:
    """The check that micro-batches divide the completions of a step on every process."""
    processes, completions = recipe.hardware.processes, rollout.problems_per_step * rollout.generations
    if completions % (micro_batch * processes) == 0:
        return
    most = min(micro_batch, completions, MAX_MICRO_BATCH)
    fitting = [size for size in range(1, most + 1) if completions % (size * processes) == 0]
    hint = f"write micro_batch {fitting[-1]}" if fitting else "write a problems_per_step that they divide"
    yield Issue(
        ("stages", index, "micro_batch"),
        f"{rollout.problems_per_step} problems x {rollout.generations} generations are {completions} "
        f"completions, which {processes} process(es) x micro_batch {micro_batch} do not divide: {hint}",
    )


def steps_or_epochs(stage: TrainingStage) -> str:
    """How long a stage trains on rows: `40 steps`, or `3 epochs`."""
    steps, epochs = stage.trainer.get("max_steps", -1), stage.trainer.get("num_train_epochs", 3)
    return f"{steps} steps" if steps > 0 else f"{epochs} epochs"


def rows_of_batch(stage: TrainingStage) -> int:
    """Rows per device and forward pass."""
    return int(stage.trainer.get("per_device_train_batch_size", 8))


def fresh_adapter(recipe: Recipe, index: int, stage: TrainingStage) -> Iterator[Issue]:
    """The check of a kind whose model has a head of its own: an adapter of a policy does not continue as one of it."""
    lora = stage.lora
    if lora is None:
        return
    if lora.adapter != "new" or lora.train_tokens or lora.output != "model":
        message = "write `adapter: new`, `output: model` and no train_tokens: the model has a head of its own"
        yield Issue(("stages", index, "lora"), message)
    if lora.quantise is not None:
        message = f"found {lora.quantise}, and the body of a model with a new head is trained as it is; remove it"
        yield Issue(("stages", index, "lora", "quantise"), message)
