"""Checks of the values under `trainer:`: ranges, names that transformers and TRL know, and keys that others make idle.

A value is looked at here in place of the config class, which would end the stage only when it starts, often hours later.
Neighbours: trainer.py (which keys there are, and their types), recipe/trainer_keys.py (reads names from the packages' sources).
"""

import importlib.util
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from alignment.recipe.issue import nearest
from alignment.recipe.trainer_keys import TrainerKeys, enumerated

Trainer = Mapping[str, Any]
Fault = tuple[str, str]  # key, what is wrong with it

# key: (least, whether that is allowed itself, bound above, which is not)
RANGES: dict[str, tuple[float, bool, float]] = {
    "max_grad_norm": (0, True, math.inf),
    "weight_decay": (0, True, math.inf),
    "adam_beta1": (0, True, 1),
    "adam_beta2": (0, True, 1),
    "adam_epsilon": (0, True, math.inf),
    "warmup_steps": (0, True, math.inf),
    "label_smoothing_factor": (0, True, 1),
    "label_smoothing": (0, True, 0.5),
    "neftune_noise_alpha": (0, False, math.inf),
    "save_total_limit": (1, True, math.inf),
    "dataloader_num_workers": (0, True, math.inf),
}
NO_KWARGS = ("linear", "constant", "constant_with_warmup")  # schedules without settings of their own
LEAST_RATE = ("cosine_with_min_lr", "cosine_warmup_with_min_lr")
MEASURED = ("reduce_lr_on_plateau", "greedy")  # schedules that follow a held-out loss
# By the beginning of an optimizer's name, the most particular first: the module that it is in, where torch has it not.
OF_PACKAGES = {
    "adamw_torch_4bit": "torchao", "adamw_torch_8bit": "torchao", "adamw_torch": "", "adamw_bnb": "bitsandbytes",
    "adamw_8bit": "bitsandbytes", "ademamix": "bitsandbytes", "lion": "bitsandbytes", "paged": "bitsandbytes",
    "rmsprop_bnb": "bitsandbytes", "galore": "galore_torch", "apollo": "apollo_torch", "lomo": "lomo_optim",
    "adalomo": "lomo_optim", "grokadamw": "grokadamw", "schedule_free": "schedulefree", "stable_adamw": "optimi",
    "adamw_anyprecision": "torchdistx",
}  # fmt: skip
WITHOUT_BETAS = ("sgd", "adagrad", "rmsprop", "adafactor", "lomo", "adalomo")


def value_faults(trainer: Trainer, keys: TrainerKeys, *, measures: bool, on_cpu: bool) -> Iterator[Fault]:
    """What is wrong with the values of a stage's trainer keys.

    measures: whether held-out rows are measured. on_cpu: whether the stage trains on a CPU.
    """
    for key, (least, allowed, below) in RANGES.items():
        value = trainer.get(key)
        if _is_number(value) and not ((least < value or (allowed and value == least)) and value < below):
            bounds = f"{'at least' if allowed else 'above'} {least:g}" + (
                f" and below {below:g}" if below < math.inf else ""
            )
            yield key, f"found {value}; write a number {bounds}"
    yield from _names(trainer, keys)
    yield from _precision(trainer, on_cpu)
    yield from _schedule(trainer, measures)
    yield from _optimizer(trainer)
    yield from _preference_loss(trainer, keys)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(trainer: Trainer, keys: TrainerKeys) -> Iterator[Fault]:
    """Names that are none of those that the packages know."""
    known = {
        "lr_scheduler_type": enumerated("transformers", "trainer_utils.py", "SchedulerType"),
        "optim": enumerated("transformers", "training_args.py", "OptimizerNames"),
        **{key: frozenset(names) for key, names in keys.names.items()},
    }
    for key, names in known.items():
        found = trainer.get(key)
        for one in found if isinstance(found, list) else [found]:
            if isinstance(one, str) and names and one not in names:
                yield key, f"there is no `{one}`; {nearest(one, sorted(names))}"


def _precision(trainer: Trainer, on_cpu: bool) -> Iterator[Fault]:
    """Types of numbers that the hardware does not have, or two of them at once."""
    for key in ("fp16", "tf32"):
        if trainer.get(key) is True and on_cpu:
            yield key, "needs a GPU, and this stage trains on a CPU; leave it out"
    if trainer.get("fp16") is True and not on_cpu and trainer.get("bf16") is not False:
        yield (
            "fp16",
            "on a GPU stages train in bf16, and one of the two has to be chosen; write `bf16: false` beside it",
        )


def _schedule(trainer: Trainer, measures: bool) -> Iterator[Fault]:
    """Settings of a learning rate's schedule that it does not have, or lacks."""
    schedule, settings = trainer.get("lr_scheduler_type", "linear"), trainer.get("lr_scheduler_kwargs") or {}
    warmup, steps = trainer.get("warmup_steps", 0), trainer.get("max_steps", -1)
    if schedule in MEASURED and not measures:
        yield (
            "lr_scheduler_type",
            f"{schedule} follows a held-out loss; write `held_out` beside `trainer`, or another schedule",
        )
    if settings and schedule in NO_KWARGS:
        yield (
            "lr_scheduler_kwargs",
            f"the schedule {schedule} has no settings; write its `lr_scheduler_type`, or leave them out",
        )
    if schedule in LEAST_RATE and not ({"min_lr", "min_lr_rate"} & set(settings)):
        yield "lr_scheduler_type", f"{schedule} needs its least rate; write `lr_scheduler_kwargs: {{min_lr_rate: 0.1}}`"
    if schedule == "constant" and _is_number(warmup) and warmup:
        yield "warmup_steps", "the schedule constant has no warmup; write `lr_scheduler_type: constant_with_warmup`"
    if _is_number(warmup) and _is_number(steps) and 1 <= steps < warmup:
        yield (
            "warmup_steps",
            f"found {warmup}, and there are {steps} steps: the learning rate would never be reached; write less",
        )


def _optimizer(trainer: Trainer) -> Iterator[Fault]:
    """An optimizer of a package that is not installed, and settings that it does not read."""
    name = str(trainer.get("optim", "adamw_torch_fused"))
    module = next((module for start, module in OF_PACKAGES.items() if name.startswith(start)), "")
    if module and importlib.util.find_spec(module) is None:
        yield "optim", f"{name} is in the package {module}, which is not installed; install it, or write adamw_torch"
    if trainer.get("optim_args") and name.startswith("adamw_torch") and not module:
        yield (
            "optim_args",
            f"it has no effect: {name} reads weight_decay, adam_beta1, adam_beta2 and adam_epsilon; write those",
        )
    for key in ("adam_beta1", "adam_beta2", "adam_epsilon") if name in WITHOUT_BETAS else ():
        if key in trainer:
            yield key, f"it has no effect: {name} does not read it; leave it out"


def _preference_loss(trainer: Trainer, keys: TrainerKeys) -> Iterator[Fault]:
    """DPO's beta and the weights of its losses."""
    if keys.class_name != "DPOConfig":
        return
    beta, losses, weights = trainer.get("beta", 0.1), trainer.get("loss_type", []), trainer.get("loss_weights")
    if _is_number(beta) and not beta > 0:
        why = "nothing would be preferred" if beta == 0 else "the rejected answers would be preferred"
        yield "beta", f"found {beta}, with which {why}; write a number above 0"
    count = len(losses) if isinstance(losses, list) and losses else 1
    if isinstance(weights, list) and len(weights) != count:
        yield (
            "loss_weights",
            f"found {len(weights)} weights for {count} loss_type{'s' * (count != 1)}; write one for each",
        )
