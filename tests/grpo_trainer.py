"""The trainer of the demo's reasoning_rl stage, built as a stage builds it, for tests that look inside a GRPO step."""

from pathlib import Path
from typing import Any

import pytest

from alignment.core.resources import resource
from alignment.run.plan import RunPlan


def grpo_trainer(policy: Path, run: Path, monkeypatch: pytest.MonkeyPatch, *settings: str) -> Any:
    """From a policy's folder and recipe settings; the stage starts from the policy and works in the run's folder."""
    for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)
    from alignment.training.context import StageContext
    from alignment.training.stages import grpo

    chosen = ["stages.reasoning_rl.start_from=null", *settings]
    plan = RunPlan.load(resource("recipes/tiny-thinking.yaml"), chosen, run)
    stage, folder = plan.recipe.stage("reasoning_rl"), plan.folder("reasoning_rl")
    folder.path.mkdir(parents=True, exist_ok=True)
    return grpo.build(StageContext(plan.recipe, stage, plan.run, folder, str(policy)))[0]
