"""RL with an adapter and an engine in bfloat16: the adapter is sent alone, and what a merge loses is recorded."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from alignment.core.resources import resource
from alignment.records.metrics import MetricsRow
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.main import train
from alignment.training.stages import grpo

SUMS = {"source": "chain-sum", "split": "reasoning", "count": 8, "seed": 2}
ROLLOUT = {"generations": 4, "problems_per_step": 2, "max_prompt_tokens": 96, "max_completion_tokens": 24}


def trained(folder: Path, dtype: str, weights: str = "auto", **lora: Any) -> tuple[StageContext, list[MetricsRow]]:
    """Two steps of RL in this process."""
    engine = {"type": "transformers", "dtype": dtype}
    stage = {
        "name": "rl", "kind": "grpo", "data": [SUMS], "rewards": [{"kind": "math_answer"}], "micro_batch": 8,
        "rollout": {**ROLLOUT, "engine": engine}, "lora": {"rank": 4, **lora}, "weights_dtype": weights,
        "trainer": {"max_steps": 2, "bf16": weights == "bfloat16"},
    }  # fmt: skip
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "small", "model": "embedded", "seed": 3, "stages": [stage]}))
    plan = RunPlan.load(path, [], folder / "run")
    plan.prepare()
    plan.folder("rl").path.mkdir(parents=True)
    base = str(resource("data/base"))
    context = StageContext(plan.recipe, plan.recipe.stage("rl"), plan.run, plan.folder("rl"), base)
    train(context, grpo.build)
    return context, list(MetricsRow.read_lines(context.folder.metrics))


@pytest.mark.parametrize(
    ("dtype", "sent"), [("bfloat16", "the adapter alone"), ("float32", "merged: the engine computes in float32")]
)
def test_an_engine_in_bfloat16_takes_the_adapter_alone(dtype: str, sent: str, tmp_path: Path) -> None:
    context, steps = trained(tmp_path, dtype)
    assert context.counts["engine_weights"].startswith(sent)
    assert all(step.figures["logprob_gap"] < 0.05 for step in steps)
    assert not any("merge_changed_fraction" in step.figures for step in steps)  # nothing was rounded
    assert steps[0].figures["learning_rate"] == pytest.approx(1e-5)  # ten times the kind's default


def test_an_adapter_on_frozen_weights_in_bfloat16_is_trained_on_packed_rows_and_is_what_is_left(tmp_path: Path) -> None:
    context, steps = trained(tmp_path, "bfloat16", weights="bfloat16", output="adapter")
    assert "not_packed" not in context.counts
    assert all(step.figures["logprob_gap"] < 0.05 for step in steps)
    assert (context.folder.output / "adapter_model.safetensors").is_file()  # and its logits were those of the trainer
