"""The training half of a GRPO step at Qwen3-1.7B's shape: plain, without padding, and without rows of zero advantage.

Rollouts are made up: ragged prompts and completions, the same at every step, so that no engine is measured. Plain is
TRL's GRPOTrainer, which pads; the other two are ours (training/rl/trainer.py), which also compares the log-probs of
four rows with the engine's, and looks for garbage as seldom as a stage's process does. Half of the groups score alike
and carry no gradient. All have to agree on the gradient of the first step, which is looked at in the first layer's
queries and in the last layer's way out.
"""

import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from shape import Setting, free, synchronize

from alignment.core.entry import OBJECTS_BETWEEN_COLLECTIONS
from alignment.core.resources import resource
from alignment.inference.attention import packed
from alignment.inference.attention.varlen import without_plans
from alignment.training.fused import fuse

Made = Callable[["Setting", "Batch", str], Any]  # a trainer, from the folder it may write into
LARGEST_DIFFERENCE = 0.1  # relative: rounding in bfloat16 makes some hundredths, one row of 16 too few about a quarter


@dataclass(frozen=True)
class Batch:
    """The rows of one step: groups of `generations`, lengths in tokens, and rows to a micro-batch."""

    groups: int
    generations: int
    prompt: int
    completion: int
    micro_batch: int
    steps: int

    @classmethod
    def of(cls, setting: Setting) -> "Batch":
        return cls(2, 4, 16, 32, 4, 2) if setting.rehearse else cls(4, 8, 256, 2_048, 8, 4)

    def rollouts(self, names: Sequence[str], _trainer: object = None) -> dict[str, Any]:
        """TRL's rollout_func: rows for prompts named 0, 1 and so on, each as often as it stands there, and their rewards.

        Token ids are the tokenizer's own. Rewards differ in every second group.
        """
        draw, count = torch.Generator().manual_seed(0), len(names)
        ragged = (0.9 * torch.randn(count, generator=draw)).exp()  # log-normal, as the lengths of reasoning are
        sizes = (self.completion / 4 * ragged).long().clamp(2, self.completion)
        sizes[0] = self.completion  # every batch has a row that reaches the limit
        before = torch.randint(self.prompt // 2, self.prompt + 1, (self.groups,), generator=draw).tolist()
        starts = [torch.randint(20, 400, (size,), generator=draw).tolist() for size in before]
        completions = [torch.randint(20, 400, (size,), generator=draw).tolist() for size in sizes.tolist()]
        return {
            "prompt_ids": [starts[int(name)] for name in names],
            "completion_ids": completions,
            "logprobs": [[-6.0] * len(ids) for ids in completions],
            "total": [float(index % 2) if int(name) % 2 else 1.0 for index, name in enumerate(names)],
        }

    def roll_out(
        self, problem_ids: Sequence[str], step: int, weights: object, following: Sequence[Sequence[str]] = ()
    ) -> Any:
        """The same rows, as our trainer asks for them."""
        from alignment.training.rl.batch import RolledOut, Row

        made = self.rollouts(problem_ids)
        columns = zip(made["prompt_ids"], made["completion_ids"], made["logprobs"], strict=True)
        rows = [Row(prompt, ids, logprobs, [True] * len(ids), truncated=False) for prompt, ids, logprobs in columns]
        return RolledOut(rows, made["total"], {})


@dataclass(frozen=True)
class Found:
    """Seconds of a step, the median of those after the first, and the gradient of two matrices in the first."""

    seconds: float
    gradient: torch.Tensor


def main() -> None:
    """Write the lines of the part."""
    setting = Setting.of("grpo")
    if setting.results.lacks("trl", "peft", "datasets"):
        return
    batch = Batch.of(setting)
    expected = {
        "unpadded": "1.6 to 2 times faster than plain",
        "zero-advantage rows dropped": "3 to 4 times faster than plain; at least 3",
    }
    ways = {"unpadded": unpadded, "zero-advantage rows dropped": dropped, "plain": plain}  # TRL's stays in memory
    found = {name: measured(setting, batch, name, made, expected.get(name, "")) for name, made in ways.items()}
    first = found.pop("plain")
    for name, one in found.items():
        if first is None:
            setting.results.without(
                f"{name} against plain", "no plain step was measured", expect=expected[name], ok=False
            )
        elif one is not None:
            compare(setting, name, one, first, expected[name])


def measured(setting: Setting, batch: Batch, name: str, made: Made, expect: str) -> Found | None:
    """The step of one way, and its line; None where memory does not suffice."""
    free()
    try:
        found = trained(setting, batch, made)
    except torch.cuda.OutOfMemoryError:
        setting.results.without(f"step, {name}", "out of memory", expect=expect, ok=False)
        return None
    setting.results.add(f"step, {name}", found.seconds, "s")
    return found


def compare(setting: Setting, name: str, found: Found, first: Found, expect: str) -> None:
    """The lines of one way against the plain step: how much faster, and the same gradient."""
    faster, least = first.seconds / found.seconds, 3.0 if "dropped" in name else 1.3
    setting.results.add(f"{name} against plain", faster, "times", expect=expect, ok=faster >= least)
    difference = float((found.gradient - first.gradient).norm() / first.gradient.norm())
    setting.results.add(
        f"{name}, gradient against plain", difference, "relative", expect=f"at most {LARGEST_DIFFERENCE:g}",
        ok=difference <= LARGEST_DIFFERENCE, anywhere=True,
    )  # fmt: skip


def plain(setting: Setting, batch: Batch, scratch: str) -> Any:
    """TRL's trainer, padded, with TRL's own loss."""
    from trl import GRPOTrainer

    options = {"rollout_func": batch.rollouts, "reward_funcs": [totals]}
    return GRPOTrainer(**options, **common(setting, batch, scratch, "sdpa", "prompt"))


def unpadded(setting: Setting, batch: Batch, scratch: str) -> Any:
    """Our trainer on all rows."""
    return ours(setting, batch, scratch, drop=False)


def dropped(setting: Setting, batch: Batch, scratch: str) -> Any:
    """Our trainer as a grpo stage has it."""
    return ours(setting, batch, scratch, drop=True)


def ours(setting: Setting, batch: Batch, scratch: str, *, drop: bool) -> Any:
    """The trainer of training/stages/grpo.py, on made-up rollouts whose log-probs are no engine's."""
    from alignment.recipe.blocks.algorithm import Dapo
    from alignment.training.rl.trainer import PolicyGradientTrainer

    algorithm = Dapo(type="dapo", drop_zero_advantage_rows=drop)
    options: dict[str, Any] = {"algorithm": algorithm, "rollouts": batch, "max_logprob_gap": math.inf}
    options |= common(setting, batch, scratch, packed.register(), "problem")
    without_plans()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    fuse(options["model"])
    return PolicyGradientTrainer(**options)


def common(setting: Setting, batch: Batch, scratch: str, attention: str, column: str) -> dict[str, Any]:
    """What both trainers are given: float32 weights under bfloat16 autocast, checkpointed, at a learning rate of zero."""
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig

    settings = GRPOConfig(
        output_dir=scratch, save_strategy="no", report_to="none", logging_steps=1, disable_tqdm=True, seed=0,
        max_steps=batch.steps, learning_rate=0.0, num_generations=batch.generations, use_vllm=False,
        per_device_train_batch_size=batch.micro_batch, max_completion_length=batch.completion,
        gradient_accumulation_steps=batch.groups * batch.generations // batch.micro_batch, loss_type="dapo",
        use_cpu=setting.rehearse, bf16=not setting.rehearse, gradient_checkpointing=not setting.rehearse,
    )  # fmt: skip
    return {
        "model": setting.model(torch.float32, attention),
        "args": settings,
        "train_dataset": Dataset.from_dict({column: [str(number) for number in range(batch.groups)]}),
        "processing_class": AutoTokenizer.from_pretrained(resource("data/base")),
    }


def totals(prompts: list[str], completions: list[str], total: list[float], **_: Any) -> list[float]:
    """The rewards that TRL's rollouts have brought along."""
    return total


def trained(setting: Setting, batch: Batch, made: Made) -> Found:
    """A few steps of a trainer on the made-up rollouts."""
    from transformers import TrainerCallback

    times: list[float] = []
    gradients: list[torch.Tensor] = []

    class Clock(TrainerCallback):
        """Notes how long each step took, and the gradient of the first."""

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            synchronize()
            times.append(-time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronize()
            times[-1] += time.perf_counter()

        def on_pre_optimizer_step(self, *_: Any, model: torch.nn.Module, **__: Any) -> None:
            if not gradients:
                layers = model.base_model.layers
                watched = (layers[0].self_attn.q_proj.weight, layers[-1].mlp.down_proj.weight)
                gradients.append(torch.cat([weight.grad.flatten() for weight in watched]).clone())

    with tempfile.TemporaryDirectory() as scratch:
        trainer = made(setting, batch, scratch)
        trainer.add_callback(Clock())
        trainer.train()
    return Found(statistics.median(times[1:]), gradients[0])


if __name__ == "__main__":
    main()
