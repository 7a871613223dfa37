"""Values under `trainer:` that cannot work, or that other keys make idle, are found by `check` and not hours later by a stage."""

import re
from pathlib import Path
from typing import Any

import pytest
from test_idle_trainer_keys import said

from alignment.checks.trainer_values import OF_PACKAGES
from alignment.recipe.trainer_keys import enumerated
from alignment.training.kinds.dpo import DIVERGENCES, LOSSES


@pytest.mark.parametrize(
    ("kind", "trainer", "words"),
    [
        ("sft", {"lr_scheduler_type": "cosin"}, "there is no `cosin`; did you mean `cosine`?"),
        ("sft", {"optim": "adamw_hf"}, "there is no `adamw_hf`"),
        ("sft", {"optim": "galore_adamw"}, "is in the package galore_torch, which is not installed"),
        ("sft", {"optim_args": "beta3=0.9"}, "it has no effect: adamw_torch_fused reads weight_decay"),
        ("sft", {"optim": "sgd", "adam_beta1": 0.8}, "it has no effect: sgd does not read it"),
        ("sft", {"lr_scheduler_kwargs": {"min_lr": 1.0e-7}}, "the schedule linear has no settings"),
        ("sft", {"lr_scheduler_type": "cosine_with_min_lr"}, "needs its least rate"),
        ("sft", {"lr_scheduler_type": "reduce_lr_on_plateau"}, "follows a held-out loss"),
        ("grpo", {"lr_scheduler_type": "constant", "warmup_steps": 5}, "the schedule constant has no warmup"),
        ("grpo", {"max_steps": 10, "warmup_steps": 11}, "the learning rate would never be reached"),
        ("sft", {"max_grad_norm": -1}, "found -1; write a number at least 0"),
        ("sft", {"adam_beta2": 1}, "at least 0 and below 1"),
        ("sft", {"neftune_noise_alpha": 0.0}, "write a number above 0"),
        ("sft", {"loss_type": "dtf"}, "there is no `dtf`; did you mean `dft`?"),
        ("sft", {"logging_steps": 10}, "metrics, alarms and the report need every step"),
        ("dpo", {"loss_type": "simpo"}, "there is no `simpo`"),
        ("dpo", {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0]}, "found 1 weights for 2 loss_types"),
        ("dpo", {"beta": -0.1}, "the rejected answers would be preferred"),
        ("dpo", {"beta": 0.0}, "nothing would be preferred"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_do_what_it_says_is_refused(kind: str, trainer: dict[str, Any], words: str) -> None:
    (message,) = said(kind, **trainer)
    assert words in message


def test_values_that_work_are_left_alone() -> None:
    assert not said("sft", warmup_steps=0.1, max_steps=40, max_grad_norm=0, optim="adafactor", weight_decay=0)
    assert not said("sft", lr_scheduler_type="cosine_with_min_lr", lr_scheduler_kwargs={"min_lr_rate": 0.1})
    assert not said("dpo", loss_type=["sigmoid", "sft"], loss_weights=[1.0, 0.2], beta=0.05)


def test_the_names_of_losses_are_those_of_trl() -> None:
    trl = pytest.importorskip("importlib.util").find_spec("trl")
    source = (Path(trl.origin).parent / "trainer" / "dpo_trainer.py").read_text(encoding="utf-8")
    assert set(re.findall(r'if loss_type == "(\w+)"', source)) == set(LOSSES)
    assert set(re.findall(r'if self\.f_divergence_type == "(\w+)"', source)) == set(DIVERGENCES)


def test_every_package_of_an_optimizer_is_asked_for_one_that_transformers_knows() -> None:
    known = enumerated("transformers", "training_args.py", "OptimizerNames")
    assert {start for start in OF_PACKAGES if not any(name.startswith(start) for name in known)} == set()
