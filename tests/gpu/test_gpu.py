"""What only a GPU can show. Skipped, with a reason, everywhere else."""

import json
import os
from pathlib import Path

import pytest

from alignment.core.machine import visible_gpus
from smoke.processes import alignment
from smoke.small_recipe import cold_start, reasoning_rl, write_recipe

HIDDEN = not visible_gpus() or not os.environ.get("ALIGNMENT_TEST_GPU")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(HIDDEN, reason="needs a GPU, and ALIGNMENT_TEST_GPU=1")]


def test_training_and_vllm_share_one_gpu_and_agree_on_log_probs(tmp_path: Path) -> None:
    stages = (cold_start(), reasoning_rl())
    recipe = write_recipe(tmp_path / "gpu.yaml", *stages, hardware={"accelerate": "gpu"})
    settings = ("--set", "stages.reasoning_rl.rollout.engine=vllm", "--set", "evaluations.engine=vllm")
    done = alignment("run", recipe, "--run", tmp_path / "run", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = (tmp_path / "run" / "02-reasoning_rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(json.loads(line)["logprob_gap"] < 0.05 for line in metrics)
