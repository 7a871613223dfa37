"""Runs one stage of a recipe in this process, for tests that look at what it leaves."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.run.plan import RunPlan

ONE_DIGIT = {"min_terms": 2, "max_terms": 4, "max_digits": 1}


def label_stage(**changes: Any) -> dict[str, Any]:
    """Labels of the solutions of a few short sums."""
    data = [{"source": "chain-sum", "split": "fusion", "count": 10, "seed": 3, "parameters": ONE_DIGIT}]
    rollout = {"engine": "transformers", "generations": 4, "max_prompt_tokens": 96, "max_completion_tokens": 64}
    stage = {"name": "labels", "kind": "step_labels", "data": data, "rollout": rollout, "steps": "line"}
    return {**stage, "rewards": [{"kind": "math_answer"}], **changes}


def in_process(folder: Path, policy: Path, stage: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a recipe's only stage here, from a policy's folder; returns its counts."""
    for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)
    from alignment.recipe.kinds import kind_of
    from alignment.training.context import StageContext

    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "stages": [stage]}), encoding="utf-8")
    plan = RunPlan.load(path, [], folder / "run")
    name = stage["name"]
    plan.folder(name).path.mkdir(parents=True, exist_ok=True)
    context = StageContext(plan.recipe, plan.recipe.stage(name), plan.run, plan.folder(name), str(policy))
    kind_of(context.stage).run(context)
    return context.counts
