"""CPU seconds of an optimizer step of tiny-distill's two stages, sampling included, in the trainer's process, with one thread.

    python benchmarks/distill_step.py RUN

RUN is a finished run of recipes/tiny-distill.yaml. Each stage takes five steps from the cold start, and five from the policy that it
left. CPU time does not depend on what else runs on the machine, as wall time does; verifiers have processes of their own.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import typer
from transformers import TrainerCallback

from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.stages import distill, grpo

STEPS = 5
STAGES = {"distillation": distill, "reasoning_rl": grpo}


class Clock(TrainerCallback):
    """The process's CPU time when training begins and after each step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.process_time())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(time.process_time())


def main(run: Path) -> None:
    """Print the mean of the last four steps of each."""
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(1)
    for name, stage in STAGES.items():
        for start in ("cold_start", name):
            settings = [f"stages.{name}.trainer.max_steps={STEPS}"]
            with tempfile.TemporaryDirectory() as folder:
                plan = RunPlan.load(resource("recipes/tiny-distill.yaml"), settings, Path(folder))
                plan.folder(name).path.mkdir(parents=True)
                (policy,) = run.glob(f"*-{start}/output")
                context = StageContext(
                    plan.recipe, plan.recipe.stage(name), plan.run, plan.folder(name), str(policy.resolve())
                )
                trainer, _ = stage.build(context)
                clock = Clock()
                trainer.add_callback(clock)
                trainer.train()
            taken = [after - before for before, after in zip(clock.seconds[1:], clock.seconds[2:], strict=False)]
            print(f"{name} from {start}: {fmean(taken):.2f} s of CPU a step", flush=True)


if __name__ == "__main__":
    typer.run(main)
