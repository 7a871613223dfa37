"""A trainer key that would change nothing, hide a fault or mean another thing than it says is refused before the start."""

from typing import Any

import pytest

from alignment.checks.trainer import trainer_settings
from alignment.recipe.schema import Recipe


def said(kind: str, **trainer: Any) -> list[str]:
    stage: dict[str, Any] = {"name": "one", "kind": kind, "data": "tiny-cold-start", "trainer": trainer}
    if kind == "grpo":
        stage["rewards"] = [{"kind": "math_answer"}]
    recipe = Recipe.model_validate({"name": "own", "model": "embedded", "stages": [stage]})
    return [issue.message for issue in trainer_settings(recipe)]


@pytest.mark.parametrize(
    ("kind", "trainer", "words"),
    [
        ("dpo", {"label_smoothing": 0.1}, "has no effect unless loss_type is robust or exo_pair"),
        ("dpo", {"discopop_tau": 0.1}, "has no effect unless loss_type is discopop"),
        ("dpo", {"f_alpha_divergence_coef": 0.5}, "unless f_divergence_type is alpha_divergence"),
        ("sft", {"liger_kernel_config": {"rope": True}}, "unless use_liger_kernel is true"),
        ("sft", {"logging_strategy": "no"}, "metrics, alarms and the report need every step"),
        ("grpo", {"logging_nan_inf_filter": True}, "in place of NaN"),
        ("sft", {"eos_token": "<|endoftext|>"}, "the chat template says how a turn ends"),
        ("dpo", {"pad_token": "<|im_end|>"}, "it is the tokenizer's own"),
        ("sft", {"dataset_kwargs": {"skip_prepare_dataset": True}}, "it has no effect"),
        ("sft", {"label_names": ["labels"]}, "write `held_out` beside `trainer`"),
        ("dpo", {"fsdp_config": {"min_num_params": 1}}, "hardware.accelerate decides it"),
        ("grpo", {"neftune_noise_alpha": 5.0}, "log-probs of another policy"),
        ("sft", {"gradient_checkpointing": "false"}, "found 'false', and true or false is needed"),
        ("sft", {"save_total_limit": 1.5}, "and a whole number is needed"),
        ("grpo", {"weight_decay": True}, "found True, and a number is needed"),
    ],
)
def test_a_key_without_the_effect_that_it_says_is_refused(kind: str, trainer: dict[str, Any], words: str) -> None:
    (message,) = said(kind, **trainer)
    assert words in message


@pytest.mark.parametrize(
    ("kind", "trainer"),
    [
        ("dpo", {"label_smoothing": 0.1, "loss_type": "robust"}),
        ("dpo", {"label_smoothing": 0.1, "loss_type": ["sigmoid", "aot"], "loss_weights": [1, 0.5]}),
        ("sft", {"liger_kernel_config": {"rope": True}, "use_liger_kernel": True}),
        (
            "sft",
            {
                "bf16": True,
                "weight_decay": 1,
                "warmup_steps": 0.1,
                "lr_scheduler_type": "cosine",
                "optim": "adamw_torch",
            },
        ),
        (
            "grpo",
            {"max_grad_norm": 1, "num_train_epochs": 2, "gradient_checkpointing_kwargs": {"use_reentrant": False}},
        ),
    ],
)
def test_keys_that_do_what_they_say_are_taken(kind: str, trainer: dict[str, Any]) -> None:
    assert said(kind, **trainer) == []
