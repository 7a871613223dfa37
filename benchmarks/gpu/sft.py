"""SFT at Qwen3-1.7B's shape on ragged rows: tokens/s, MFU and the peak of memory, beside TRL's defaults.

Ours is what training/kinds/sft.py asks of TRL: rows packed to 16,384 tokens, end to end, kept apart by packed attention,
Liger's layers; once with and once without checkpointed activations. The peer is SFTTrainer with nothing chosen but the
longest row, which TRL would otherwise cut at 1,024 tokens; once more without cuDNN's attention, which plans anew for each
length. All train float32 weights under bfloat16 autocast on the same rows; a token is one of a row, never padding.
"""

import math
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from shape import Setting, free, peak_gigabytes, synchronize, utilisation

from alignment.core.resources import resource
from alignment.inference.attention import packed
from alignment.training.fused import fuse

# Of our two: tokens/s and MFU, and the peak of memory in GB, as it is expected and at most.
AIMS = {
    "checkpointed": ("20,000 to 26,000", 0.30, "35 to 40; at most 45", 45),
    "not checkpointed": ("28,000 to 34,000", 0.40, "65 to 70; at most 75", 75),
}


@dataclass(frozen=True)
class Rows:
    """Ragged rows, and how they are trained on: lengths in tokens, steps in all and to warm up."""

    rows: list[list[int]]
    length: int
    longest: int
    steps: int
    warm: int

    @classmethod
    def of(cls, setting: Setting) -> "Rows":
        """Lengths are log-normal, as those of reasoning are: half of the rows are shorter than a quarter of the longest."""
        length, median, longest, count = (256, 40, 128, 24) if setting.rehearse else (16_384, 2_000, 8_192, 96)
        steps, warm = (2, 1) if setting.rehearse else (8, 2)
        draw = torch.Generator().manual_seed(0)
        sizes = (median * (0.9 * torch.randn(count, generator=draw)).exp()).long().clamp(median // 10, longest)
        rows = [torch.randint(setting.config.vocab_size, (size,), generator=draw).tolist() for size in sizes.tolist()]
        return cls(rows, length, longest, steps, warm)


@dataclass
class Clock:
    """When each step of a trainer ended, and how many tokens of rows it had trained on."""

    ends: list[float] = field(default_factory=list)
    tokens: list[Any] = field(default_factory=list)

    def watch(self, trainer: Any) -> None:
        """Count what a trainer trains on, and when its steps end."""
        from transformers import TrainerCallback

        whole_step, clock = trainer.training_step, self

        def training_step(model: Any, inputs: dict[str, Any], *rest: Any, **options: Any) -> Any:
            mask = inputs.get("attention_mask")
            clock.tokens.append(inputs["input_ids"].numel() if mask is None else mask.sum())
            return whole_step(model, inputs, *rest, **options)

        class Ends(TrainerCallback):
            """Notes the time after each step."""

            def on_step_end(self, *_: Any, **__: Any) -> None:
                synchronize()
                clock.ends.append(time.perf_counter())

        trainer.training_step = training_step
        trainer.add_callback(Ends())

    def tokens_per_second(self, warm: int) -> float:
        """Over the steps after those that warm up."""
        return sum(int(count) for count in self.tokens[warm:]) / (self.ends[-1] - self.ends[warm - 1])


def main() -> None:
    """Write the lines of the part."""
    setting = Setting.of("sft")
    if setting.results.lacks("trl", "peft", "datasets"):
        return
    rows = Rows.of(setting)
    ours = {
        "checkpointed": measured(setting, rows, "checkpointed", gradient_checkpointing=True),
        "not checkpointed": measured(setting, rows, "not checkpointed", gradient_checkpointing=False),
    }
    peer = measured(setting, rows, None, cudnn=True)
    measured(setting, rows, None, cudnn=False)
    best = max((speed for speed in ours.values() if speed is not None), default=None)
    if peer is None or best is None:
        setting.results.without("ours against TRL's defaults", "one of the two could not be measured", ok=False)
        return
    setting.results.add("ours against TRL's defaults", best / peer, "times", expect="at least 2", ok=best / peer >= 2)


def measured(setting: Setting, rows: Rows, name: str | None, **chosen: bool) -> float | None:
    """Train a few steps of ours, or of TRL's defaults where name is None, write the lines; returns tokens/s."""
    add, on_gpu, planned = setting.results.add, setting.results.add_on_gpu, chosen.pop("cudnn", False)
    label = name or ("TRL's defaults" if planned else "TRL's defaults without cuDNN's attention")
    torch.backends.cuda.enable_cudnn_sdp(planned)
    free()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            clock, loss = trained(setting, rows, chosen if name else None, scratch)
    except torch.cuda.OutOfMemoryError:
        setting.results.without(label, "out of memory", ok=False)
        return None
    speed = clock.tokens_per_second(rows.warm)
    used = utilisation(speed, [len(row) for row in rows.rows])
    if name:
        expect, aim, expect_peak, most = AIMS[name]
        add(f"{label}, speed", speed, "tokens/s", expect=f"{expect}; at least 15,000", ok=speed >= 15_000)
        on_gpu(f"{label}, MFU", used, "of 989 TFLOP/s", expect=f"at least {aim:.2f}", ok=used >= aim)
        peak = peak_gigabytes()
        on_gpu(f"{label}, peak at {rows.length:,} tokens", peak, "GB", expect=expect_peak, ok=peak <= most)
    else:
        add(f"{label}, speed", speed, "tokens/s", expect="9,000 to 13,000")
        on_gpu(f"{label}, peak", peak_gigabytes(), "GB")
    add(f"{label}, loss", loss, "nats", expect="a number", ok=math.isfinite(loss), anywhere=True)
    return speed


def trained(
    setting: Setting, rows: Rows, ours: dict[str, bool] | None, scratch: str, *callbacks: Any
) -> tuple[Clock, float]:
    """Train, by our settings or by none; returns the clock and the mean loss after warming up."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    settings: dict[str, Any] = {
        "output_dir": scratch, "save_strategy": "no", "report_to": "none", "logging_steps": 1, "disable_tqdm": True,
        "max_steps": rows.steps, "seed": 0, "max_length": rows.longest, "use_cpu": setting.rehearse, "bf16": not setting.rehearse,
    }  # fmt: skip
    if ours is not None:
        settings |= {
            "per_device_train_batch_size": 1, "max_length": rows.length, "packing": True, "packing_strategy": "bfd",
            "padding_free": True, "remove_unused_columns": False, "include_num_input_tokens_seen": "no", **ours,
        }  # fmt: skip
    columns = {"input_ids": rows.rows, "labels": rows.rows}
    model = setting.model(torch.float32, "sdpa" if ours is None else packed.register())
    if ours is not None:
        fuse(model)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**settings),
        train_dataset=Dataset.from_dict(columns),
        processing_class=AutoTokenizer.from_pretrained(resource("data/base")),
        callbacks=list(callbacks),
    )
    clock = Clock()
    clock.watch(trainer)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return clock, statistics.mean(losses[rows.warm :])


if __name__ == "__main__":
    main()
