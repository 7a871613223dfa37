"""A LoRA stage of the embedded model, two steps long, in this process."""

from pathlib import Path
from typing import Any

import yaml

from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.main import train
from alignment.training.stages import sft

SUMS = {"source": "chain-sum", "split": "reasoning", "count": 16, "seed": 2, "mode": "thinking"}
TRAINER = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 5.0e-3}


def plan_of(folder: Path, *stages: dict[str, Any], **top: Any) -> RunPlan:
    """The plan of sft stages `one`, `two` ..., each with the fields given."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("one", "two", "three")
    written = [
        {"name": name, "kind": "sft", "data": [SUMS], "max_length": 256, "packing": False, "trainer": TRAINER, **fields}
        for name, fields in zip(names, stages, strict=False)
    ]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "seed": 3, "stages": written, **top}))
    plan = RunPlan.load(path, [], folder / "run")
    plan.prepare()
    return plan


def trained(plan: RunPlan, name: str) -> Path:
    """The output folder of a stage, trained here."""
    folder, before = plan.folder(name), plan.recipe.policy_before(name)
    folder.path.mkdir(parents=True, exist_ok=True)
    start = str(resource("data/base")) if before is None else str(plan.folder(before).output)
    train(StageContext(plan.recipe, plan.recipe.stage(name), plan.run, folder, start), sft.build)
    return folder.output
