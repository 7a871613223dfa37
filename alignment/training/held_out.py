"""Measures the held-out rows of an sft or dpo stage at intervals, and keeps the best checkpoint where the recipe says so.

The loss is a mean over trained tokens (sft) or over pairs (dpo), the same whatever the batches. transformers remembers
in a checkpoint which one was best; here that is made to survive a kill and a renamed folder. Neighbours:
data/held_out.py (which rows), callbacks.py (seals checkpoints), recipe/blocks/held_out.py (the fields).
"""

import math
import shutil
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from alignment.core.errors import AlignmentError, ArtifactError
from alignment.core.files import read_json, read_json_lines
from alignment.data.chat.template import IGNORED
from alignment.recipe.blocks.held_out import HeldOut
from alignment.records.metrics import MetricsRow
from alignment.training.context import StageContext, is_sealed, step_of

LOSS = "eval_loss"  # transformers' names on the left, ours (records/metrics.py) on the right
NAMES = {LOSS: "held_out_loss", "eval_rewards/accuracies": "held_out_preference_accuracy",
         "eval_accuracy": "held_out_preference_accuracy"}  # fmt: skip
NEWEST = 2  # checkpoints that are kept, each with the one that was best when it was written


def measuring_settings(context: StageContext) -> dict[str, Any]:
    """What a TRL config needs to measure the stage's held-out rows; nothing without such rows."""
    held: HeldOut | None = context.stage.held_out
    if held is None:
        return {}
    measured = {
        "eval_strategy": "steps",
        "eval_steps": held.every_steps,
        "per_device_eval_batch_size": 1,  # a pack, a row or a pair: means are exact
        "eval_on_start": context.last_checkpoint() is None,
    }
    best = {
        "save_steps": held.every_steps,
        "save_total_limit": None,  # `_prune` keeps what a kill may go back to
        "load_best_model_at_end": True,
        "metric_for_best_model": LOSS,
        "greater_is_better": False,
    }
    return {**measured, **best} if held.keep == "best" else measured


class MeasuredSFTTrainer(SFTTrainer):  # type: ignore[misc]  # TRL has no types
    """TRL's trainer with a held-out loss that is the mean over all trained tokens, whatever rows share a pack."""

    held_out_tokens: int = 0  # of all held-out rows, those that carry loss

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> Any:
        """A pack's loss, summed over its tokens: `evaluation_loop` divides by those of all packs."""
        loss, logits, labels = super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        return loss * (inputs["labels"][..., 1:] != IGNORED).sum().to(loss.device), logits, labels

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """TRL's evaluation, its loss as a mean over tokens."""
        output = super().evaluation_loop(*args, **kwargs)
        output.metrics[LOSS] *= output.num_samples / max(1, self.held_out_tokens)
        return output


def trained_tokens(table: Dataset) -> int:
    """The tokens of a table of rows that a loss is computed on: a row's first token is predicted by nothing."""
    return sum(sum(label != IGNORED for label in labels[1:]) for labels in table["labels"])


class Measurer(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Records each measurement, sees to it that the last step is one, and keeps the checkpoints that may be needed."""

    def __init__(self, context: StageContext, rows: int) -> None:
        self._context, self._held = context, context.stage.held_out
        context.counts["held_out_rows"] = rows

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Find the best checkpoint again, wherever the run's folder is now. Raises ArtifactError if it is gone."""
        if self._held.keep != "best" or not state.best_global_step:
            return
        best = self._context.folder.checkpoints / f"checkpoint-{state.best_global_step}"
        if not is_sealed(best):
            raise ArtifactError(
                f"{best} had the lowest held-out loss and is missing or damaged, so that the stage cannot go on as it would "
                f"have; write --redo {self._context.stage.name}, or held_out.keep: last"
            )
        state.best_model_checkpoint = str(best)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Measure the last step too."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the measurement's line. Raises ArtifactError for a loss that is no number."""
        figures = {NAMES[name]: value for name, value in (metrics or {}).items() if name in NAMES}
        loss = figures.get(NAMES[LOSS], math.nan)
        if not math.isfinite(loss):
            raise ArtifactError(
                f"the held-out loss of stage {self._context.stage.name} is {loss} at step {state.global_step}: the policy "
                "is broken; lower the learning rate, or look at the rows"
            )
        if self._context.is_main and not self._has_line(state.global_step):
            MetricsRow(state.global_step, state.max_steps or None, figures=dict(figures)).append(
                self._context.folder.metrics
            )
            print(f"step {state.global_step}: held-out loss {loss:.4f}", flush=True)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Remove checkpoints that nothing can need any more."""
        if self._context.is_main and self._held.keep == "best":
            _prune(self._context)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Count what the stage leaves, for its manifest."""
        if self._held.keep == "best" and state.best_global_step:
            self._context.counts.update(best_step=state.best_global_step, held_out_loss=round(state.best_metric, 6))

    def _has_line(self, step: int) -> bool:
        path = self._context.folder.metrics
        lines = read_json_lines(path) if path.exists() else iter(())
        return any(line.get("step") == step and NAMES[LOSS] in line for line in lines)


def _prune(context: StageContext) -> None:
    """Keep the newest sealed checkpoints and the one that was best when each was written: a kill goes back to one of them."""
    sealed = sorted((path for path in context.folder.checkpoints.glob("checkpoint-*") if is_sealed(path)), key=step_of)
    needed = {path.name for path in sealed[-NEWEST:]} | {_best_of(path) for path in sealed[-NEWEST:]}
    for path in sealed:
        if path.name not in needed:
            shutil.rmtree(path)


def _best_of(checkpoint: Path) -> str:
    """The name of the checkpoint that was best when this one was written."""
    try:
        return f"checkpoint-{read_json(checkpoint / 'trainer_state.json').get('best_global_step')}"
    except AlignmentError:
        return ""
