"""A distill stage on a random model of 30,000 parameters with a random teacher of other width, in this process."""

from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext

SUMS = {"source": "chain-sum", "split": "reasoning", "count": 16, "seed": 2}
ROLLOUT = {
    "engine": "transformers", "problems_per_step": 4, "max_prompt_tokens": 96, "max_completion_tokens": 12,
}  # fmt: skip


def write_model(target: Path, *, hidden: int = 32, seed: int = 0, **shape: Any) -> Path:
    """A random Qwen3 of two layers with the embedded model's tokenizer."""
    torch.manual_seed(seed)
    options = {"hidden_size": hidden, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
               "head_dim": 16, "intermediate_size": 48, "layer_types": ["full_attention"] * 2, **shape}  # fmt: skip
    config = AutoConfig.from_pretrained(resource("data/base"), **options)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(target)
    AutoTokenizer.from_pretrained(resource("data/base")).save_pretrained(target)
    return target


def recipe(folder: Path, **fields: Any) -> Path:
    """A recipe with one distill stage, its student and its teacher."""
    student, teacher = folder / "student", folder / "teacher"
    if not student.exists():
        write_model(student)
        write_model(teacher, hidden=48, seed=1)
    stage = {
        "name": "learn", "kind": "distill", "data": [SUMS], "teacher": {"model": str(teacher)}, "rollout": ROLLOUT,
        "micro_batch": 2, "trainer": {"max_steps": 2, "learning_rate": 1.0e-2}, **fields,
    }  # fmt: skip
    path = folder / "recipe.yaml"
    written = {"name": "small", "model": str(student), "seed": 3, "stages": [stage]}
    path.write_text(yaml.safe_dump(written), encoding="utf-8")
    return path


def context_of(path: Path, run: Path) -> StageContext:
    """The stage, about to run in this process."""
    plan = RunPlan.load(path, [], run)
    folder = plan.folder("learn")
    folder.path.mkdir(parents=True, exist_ok=True)
    return StageContext(plan.recipe, plan.recipe.stage("learn"), plan.run, folder, plan.policy_path("learn"))
