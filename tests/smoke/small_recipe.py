"""A recipe as small as it can be while every stage still does its real work, for tests that run it whole."""

from pathlib import Path
from typing import Any

import yaml

ROLLOUT = {
    "engine": "transformers",  # starts in a tenth of vLLM's time; a test whose point is the engine names its own
    "generations": 4,
    "problems_per_step": 4,
    "max_prompt_tokens": 96,
    "max_completion_tokens": 48,
}
ONE_DIGIT = {"max_terms": 3, "max_digits": 1}


def cold_start(**changes: Any) -> dict[str, Any]:
    """Twelve optimizer steps of SFT, a checkpoint every three."""
    data = [{"source": "chain-sum", "split": "cold_start", "count": 96, "seed": 1, "parameters": ONE_DIGIT}]
    trainer = {"max_steps": 12, "per_device_train_batch_size": 2, "learning_rate": 1.0e-3}
    stage = {
        "name": "cold_start",
        "kind": "sft",
        "data": data,
        "max_length": 256,
        "save_every_steps": 3,
        "trainer": trainer,
    }
    return {**stage, **changes}


def reasoning_rl(**changes: Any) -> dict[str, Any]:
    """Four optimizer steps of GRPO, a checkpoint at each."""
    data = [{"source": "chain-sum", "split": "reasoning", "count": 32, "seed": 2, "parameters": ONE_DIGIT}]
    rewards = [{"kind": "math_answer"}, {"kind": "think_format", "weight": 0.5}]
    stage = {"name": "reasoning_rl", "kind": "grpo", "data": data, "rollout": ROLLOUT, "rewards": rewards}
    trainer = {"max_steps": 4, "learning_rate": 1.0e-4}
    algorithm = {"type": "dapo", "beta": 0.01}
    return {**stage, "algorithm": algorithm, "micro_batch": 16, "save_every_steps": 1, "trainer": trainer, **changes}


def sampled(**changes: Any) -> dict[str, Any]:
    """Completions of sixteen problems; whatever is well-formed enough is accepted."""
    data = [{"source": "chain-sum", "split": "fusion", "count": 16, "seed": 3, "parameters": ONE_DIGIT}]
    rollout = {name: value for name, value in ROLLOUT.items() if name != "problems_per_step"}
    stage = {"name": "fusion_data", "kind": "sample", "data": data, "rollout": rollout}
    return {**stage, "rewards": [{"kind": "think_format"}], "accept_score": 0.1, **changes}


def mixed(**changes: Any) -> dict[str, Any]:
    """What `sampled` accepted beside answers without thinking, with flags."""
    plain = {"source": "chain-sum", "split": "fusion", "count": 16, "seed": 5, "mode": "non_thinking"}
    stage = {"name": "fusion_mix", "kind": "fusion", "data": [{"stage": "fusion_data"}, plain], "max_length": 256}
    return {**stage, "multi_turn_fraction": 0.3, **changes}


def write_recipe(path: Path, *stages: dict[str, Any], **changes: Any) -> Path:
    """A recipe file of these stages on the embedded model, evaluated on eight problems of two tasks."""
    evaluations = {
        "after_each_stage": ["chain-sum", "constraints"], "count": 8, "follow_count": 4, "follow_turns": 2, "max_prompt_tokens": 160,
        "max_completion_tokens": 48, "engine": "transformers", "thinking_budget": {"stop_text": "\n</think>\n\n"},
    }  # fmt: skip
    recipe = {
        "name": "small",
        "model": "embedded",
        "seed": 3,
        "hardware": {"accelerate": "cpu"},
        "stages": list(stages),
    }
    path.write_text(yaml.safe_dump({**recipe, "evaluations": evaluations, **changes}), encoding="utf-8")
    return path
