"""What a trainer's steps leave behind: a line in metrics.jsonl, a progress report, a sealed checkpoint."""

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alignment.core.progress import Progress
from alignment.training.context import StageContext, seal

# TRL's names on the left, ours (docs/run-directory.md) on the right; names under reward/ pass as they are.
NAMES = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "gradient_norm",
    "rollout_entropy": "entropy",  # of all rollouts; TRL's own is of the rows that are trained on
    "kl": "kl",
    "reward": "reward",
    "reward_std": "reward_std",
    "completions/mean_length": "completion_tokens",
    "completions/clipped_ratio": "truncated_fraction",
    "num_tokens": "tokens",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/accuracies": "preference_accuracy",
    "rewards/margins": "reward_margin",
    "mean_token_accuracy": "token_accuracy",
}
SHOWN = ("loss", "reward", "entropy", "completion_tokens", "preference_accuracy")
OWN = ("thinking_tokens", "logprob_gap", "seconds_rollout", "seconds_verdicts", "seconds_weights", "unknown_fraction",
       "replaced_groups", "zero_variance_groups")  # fmt: skip


class Recorder(TrainerCallback):
    """Writes one line per step and seals each checkpoint once it is whole. Main process only."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self.tokens = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._progress = Progress(self._context.stage.name, state.max_steps, state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Write one step's line and report progress; what is logged at the end of training is no step."""
        figures = {NAMES.get(name, name): value for name, value in (logs or {}).items() if _kept(name)}
        if not self._context.is_main or not figures or self._progress is None or "loss" not in (logs or {}):
            return
        self.tokens = int(figures.get("tokens", self.tokens))
        spent = round(time.monotonic() - self._started, 2)
        line = {"step": state.global_step, "steps": state.max_steps, "seconds": spent, **figures}
        with self._context.folder.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._progress.report(state.global_step, **{name: figures[name] for name in SHOWN if name in figures})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._context.is_main:
            seal(Path(args.output_dir or "") / f"checkpoint-{state.global_step}")


def _kept(name: str) -> bool:
    return name in NAMES or name in OWN or name.startswith("reward/")
