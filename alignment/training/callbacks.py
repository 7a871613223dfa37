"""What a trainer's steps leave behind: a line in metrics.jsonl, a progress report, a sealed checkpoint.

Neighbours: main.py (adds what every trainer needs), records/metrics.py (the names of the figures).
"""

import math
import shutil
import time
from pathlib import Path
from typing import Any

from accelerate.state import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alignment.core.files import read_json_lines
from alignment.core.progress import Progress
from alignment.records.metrics import MetricsRow
from alignment.training.context import StageContext, seal

# TRL's names on the left, ours (records/metrics.py) on the right; names under reward/ and task/ pass as they are.
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
    "accuracy": "preference_accuracy",  # TRL's names for a reward model
    "margin": "reward_margin",
    "mean_reward": "mean_reward",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/accuracies": "preference_accuracy",
    "rewards/margins": "reward_margin",
    "mean_token_accuracy": "token_accuracy",
}
REFERENCE_ADAPTER = "ref"  # TRL's name for the frozen copy of an adapter that is continued
MEASURED = ("loss", "gradient_norm")  # what has to be a finite number at every step
SHOWN = ("loss", "reward", "entropy", "completion_tokens", "preference_accuracy")
OWN = ("thinking_tokens", "answer_tokens", "distinct_bigrams", "step_accuracy", "process_score", "steps_per_answer", "tokens_per_step", "right_fraction",
       "logprob_gap", "seconds_rollout", "seconds_verdicts", "seconds_weights", "unknown_fraction", "environment_fault_fraction",
       "replaced_groups", "zero_variance_groups", "merge_changed_fraction", "staleness", "stale_rows", "interrupted_fraction",
       "judge_asked", "judge_cached", "judge_tokens", "judge_cost",
       "sampled_groups", "sampled_zero_variance", "sampled_pass_rate", "new_problems", "reverse_kl", "forward_kl",
       "student_entropy", "teacher_entropy")  # fmt: skip


class Recorder(TrainerCallback):
    """Writes one line per step and seals each checkpoint once it is whole. Main process only."""

    def __init__(self, context: StageContext) -> None:
        self._context = context
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._tokens_before = 0  # of earlier attempts, where the trainer counts from 0 again
        self._last = self._started, 0  # when the last line was written, and the tokens up to it
        self.tokens = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock, and continue to count tokens where the last attempt stopped."""
        self._started = time.monotonic()
        self.tokens = _recorded_tokens(self._context) if self._context.is_main else 0
        self._last = self._started, self.tokens
        # TRL's SFT and DPO trainers count from 0 when they resume; GRPO's count is a part of the trainer's state.
        self._tokens_before = 0 if state.num_input_tokens_seen else self.tokens
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
        if "tokens" in figures:
            figures |= self._counted(int(figures["tokens"]))
        figures |= _without_number(figures)
        spent = round(time.monotonic() - self._started, 2)
        MetricsRow(state.global_step, state.max_steps, spent, figures).append(self._context.folder.metrics)
        self._progress.report(state.global_step, **{name: figures[name] for name in SHOWN if name in figures})

    def _counted(self, reported: int) -> dict[str, float]:
        """Tokens over all attempts, and how fast they were trained on since the last line."""
        now, (before, already) = time.monotonic(), self._last
        self.tokens = self._tokens_before + reported
        self._last = now, self.tokens
        rate = (self.tokens - already) / (now - before) if now > before else 0.0
        return {"tokens": self.tokens, "tokens_per_second": round(rate, 1)}

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal the checkpoint that was just written, once every rank has written its part of it.

        Without the reference's adapter: it is the one that the stage starts from, which a resumed stage copies again. Where it
        lies in a checkpoint, transformers reads the adapters of subfolders alone and the trained one is lost.
        """
        PartialState().wait_for_everyone()
        if self._context.is_main:
            checkpoint = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
            shutil.rmtree(checkpoint / REFERENCE_ADAPTER, ignore_errors=True)
            seal(checkpoint)


class EpochOrder(TrainerCallback):
    """Tells the sampler of the rows which epoch begins, however deep accelerate has wrapped it.

    A resumed stage skips rows by another wrapper, through which accelerate 1.15 does not reach the sampler of several ranks:
    they would go on in the first epoch's order.
    """

    def on_epoch_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        train_dataloader: Any = None,
        **_: Any,
    ) -> None:
        """Set the epoch, counted from 0, of the innermost sampler."""
        inner: Any = getattr(train_dataloader, "batch_sampler", None)
        while hasattr(inner, "batch_sampler"):
            inner = inner.batch_sampler
        sampler: Any = getattr(inner, "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(int((state.epoch or 0.0) + WHOLE))


WHOLE = 1e-6  # of an epoch: a sum of fractions that rounding leaves short of a whole number


def _without_number(figures: dict[str, Any]) -> dict[str, Any]:
    """None for what is NaN or infinite, and how many of the figures of every step that is."""
    lost = [name for name in MEASURED if name in figures and not math.isfinite(figures[name])]
    gone = {name: None for name, value in figures.items() if isinstance(value, float) and not math.isfinite(value)}
    return {**gone, "not_finite": float(len(lost))} if gone or lost else {}


def _recorded_tokens(context: StageContext) -> int:
    """The tokens up to the step that training resumes from, which the last line that was kept says."""
    if not context.folder.metrics.exists():
        return 0
    counts = [line.get("tokens") for line in read_json_lines(context.folder.metrics)]
    return int(next((count for count in reversed(counts) if count), 0))


def _kept(name: str) -> bool:
    return name in NAMES or name in OWN or name.startswith(("reward/", "task/"))
