"""Which keys `trainer:` may hold for a stage kind, read from TRL's own source without importing it.

Importing TRL costs seconds and torch; a dataclass's fields can be read from its file. tests/house holds this reading
against the imported classes, so that a change in TRL fails there first.
"""

import ast
import importlib.util
from functools import cache
from pathlib import Path

CONFIG_CLASSES = {
    "sft": ("trl", "trainer/sft_config.py", "SFTConfig"),
    "grpo": ("trl", "trainer/grpo_config.py", "GRPOConfig"),
    "dpo": ("trl", "trainer/dpo_config.py", "DPOConfig"),
}
_PARENTS = {
    "_BaseConfig": ("trl", "trainer/base_config.py", "_BaseConfig"),
    "TrainingArguments": ("transformers", "training_args.py", "TrainingArguments"),
}

_EVERYWHERE = {
    "output_dir": "the run directory decides it",
    "resume_from_checkpoint": "running again is resuming",
    "seed": "write `seed` at the top of the recipe",
    "data_seed": "write `seed` at the top of the recipe",
    "report_to": "write `report_to` at the top of the recipe",
    "save_steps": "write `save_every_steps` beside `trainer`",
    "save_strategy": "write `save_every_steps` beside `trainer`",
    "push_to_hub": "a run writes to its own directory only",
    "use_cpu": "hardware.accelerate decides it",
    "deepspeed": "hardware.accelerate decides it: choose zero2 or zero3 there",
    "fsdp": "hardware.accelerate decides it",
    "model_init_kwargs": "the stage loads the model itself",
    "remove_unused_columns": "the stage prepares its own columns",
    "disable_tqdm": "progress is the stage's own",
}
OWNED: dict[str, dict[str, str]] = {
    "sft": {
        **_EVERYWHERE,
        "max_length": "write `max_length` beside `trainer`",
        "packing": "write `packing` beside `trainer`",
        "packing_strategy": "packs never cut a row in two",
        "padding_free": "rows are never padded",
        "include_num_input_tokens_seen": "the stage counts the tokens that carry loss itself",
        "assistant_only_loss": "the stage masks the loss; see loss_on_empty_think and loss_on_history",
        "completion_only_loss": "the stage masks the loss; see loss_on_empty_think and loss_on_history",
        "dataset_text_field": "the stage renders its rows itself",
        "chat_template_path": "write `chat_template` at the top of the recipe",
    },
    "dpo": {**_EVERYWHERE, "max_length": "write `max_length` beside `trainer`"},
    "grpo": {
        **_EVERYWHERE,
        "num_generations": "write `generations` under `rollout`",
        "max_completion_length": "write `max_completion_tokens` under `rollout`",
        "temperature": "write `temperature` under `rollout`",
        "top_p": "write `top_p` under `rollout`",
        "top_k": "write `top_k` under `rollout`",
        "use_vllm": "write `engine` under `rollout`",
        "vllm_mode": "write `engine` under `rollout`",
        "per_device_train_batch_size": "write `micro_batch` beside `trainer`",
        "gradient_accumulation_steps": "it follows from problems_per_step, generations, micro_batch and processes",
        "steps_per_generation": "each optimizer step has rollouts of its own",
        "generation_batch_size": "it follows from problems_per_step and generations",
        "reward_weights": "write `weight` under each reward",
        "chat_template_kwargs": "write `thinking_fraction` under `rollout`",
    },
}


@cache
def trainer_keys(kind: str) -> frozenset[str] | None:
    """Every field of the kind's TRL config class and its parents, or None where TRL is not installed."""
    return _fields(*CONFIG_CLASSES[kind])


def _fields(package: str, file: str, class_name: str) -> frozenset[str] | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            names = {
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
            for base in node.bases:
                if isinstance(base, ast.Name) and base.id in _PARENTS:
                    names |= _fields(*_PARENTS[base.id]) or frozenset()
            return frozenset(name for name in names if not name.startswith("_"))
    raise LookupError(f"{path} has no class {class_name}: this version of {package} is not the one in constraints.txt")
