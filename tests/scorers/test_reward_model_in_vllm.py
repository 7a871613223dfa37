"""A reward model scores the same in vLLM's pooling runner as in plain transformers, by itself and as a scorer of RL."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from reward_models import untrained_reward_model

from alignment.inference.reward_model import RewardModel
from alignment.inference.vllm.kind import vllm_fault
from training.test_reward_model import pairs_file, run_stage


@pytest.mark.long
@pytest.mark.skipif(vllm_fault() is not None, reason="vLLM cannot run here")
def test_a_trained_reward_model_scores_the_same_in_vllm(tmp_path: Path) -> None:
    _, output = run_stage(tmp_path, pairs_file(tmp_path / "pairs.jsonl"))
    model = RewardModel(str(output))
    conversations = [
        [{"role": "user", "content": f"{one} + 5 ="}, {"role": "assistant", "content": answer}]
        for one in range(10, 18)
        for answer in (f"{one + 5}.", f"It is {one + 8}!")
    ]
    sequences = [model.rendered(one, "non_thinking") for one in conversations]
    expected = model.scores(sequences)
    assert max(expected) - min(expected) > 1.0, "it tells them apart"
    pooled = RewardModel(str(output), "vllm")
    assert pooled.scores(sequences) == pytest.approx(expected, abs=1e-3)
    assert pooled.scores([]) == [] and pooled.fits(sequences[0]) and not pooled.fits([0] * 40_000)
    pooled.close()


@pytest.mark.long
@pytest.mark.skipif(vllm_fault() is not None, reason="vLLM cannot run here")
def test_rl_is_paid_by_a_reward_model_in_vllm_as_by_one_in_transformers(tmp_path: Path) -> None:
    """The scores that a step records are those of the same rollouts, to what the two engines' arithmetic differs by."""
    model, seen = untrained_reward_model(tmp_path / "model"), {}
    for engine in ("transformers", "vllm"):
        run = tmp_path / engine
        stage = {
            "name": "rl", "kind": "grpo", "data": [{"source": "chain-sum", "split": "reasoning", "count": 16}],
            "rollout": {"generations": 4, "problems_per_step": 2, "engine": "transformers", "max_prompt_tokens": 128,
                        "max_completion_tokens": 16, "dynamic_sampling": False},
            "rewards": [{"kind": "math_answer", "weight": 0.0}], "trainer": {"max_steps": 1},
            "scorers": [{"kind": "reward_model", "model": str(model), "engine": engine}],
        }  # fmt: skip
        recipe = {"name": "small", "model": "embedded", "seed": 3, "hardware": {"accelerate": "cpu"}, "stages": [stage]}
        run.mkdir()
        (run / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        command = [sys.executable, "-m", "alignment.cli", "run", str(run / "recipe.yaml"), "--run", str(run / "run")]
        made = subprocess.run(command, capture_output=True, text=True, timeout=900)
        assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
        lines = (run / "run" / "01-rl" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        seen[engine] = json.loads(lines[0])["reward/reward_model/mean"]
    assert seen["vllm"] == pytest.approx(seen["transformers"], abs=1e-3)
