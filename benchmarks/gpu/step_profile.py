"""Where the time of an SFT step goes on a GPU: its kernels by their time, from torch.profiler. No line of the check.

`step_profile.py [--checkpointed] [--rehearse] [--out FOLDER]` trains as sft.py's ours for three steps and prints the last
one's table. For whoever wants to make the step faster: benchmarks/gpu/sft.py says how fast it is.
"""

import sys
import tempfile
from dataclasses import replace
from typing import Any

import sft
import torch
from shape import Setting, free
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback

ROWS = 30  # of the table


class LastStep(TrainerCallback):
    """Profiles the last step."""

    def __init__(self, steps: int, *, on_gpu: bool) -> None:
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
        self.steps, self.profile = steps, profile(activities=kinds)

    def on_step_begin(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == self.steps - 1:
            self.profile.start()

    def on_step_end(self, _args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == self.steps:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.profile.stop()


def main() -> None:
    """Print the table."""
    checkpointed = "--checkpointed" in sys.argv
    sys.argv = [one for one in sys.argv if one != "--checkpointed"]
    setting = Setting.of("step_profile")
    rows = replace(sft.Rows.of(setting), steps=3, warm=1)
    torch.backends.cuda.enable_cudnn_sdp(False)
    free()
    watch = LastStep(rows.steps, on_gpu=not setting.rehearse)
    with tempfile.TemporaryDirectory() as scratch:
        sft.trained(setting, rows, {"gradient_checkpointing": checkpointed}, scratch, watch)
    by = "self_cuda_time_total" if not setting.rehearse else "self_cpu_time_total"
    print(watch.profile.key_averages().table(sort_by=by, row_limit=ROWS, max_name_column_width=90))


if __name__ == "__main__":
    main()
