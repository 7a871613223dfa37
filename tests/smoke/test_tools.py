"""A policy that is trained to call tools, from imitation over RL to the evaluation, in the processes of a run."""

import json
from pathlib import Path

from alignment.records.evaluation import EvaluationRecord
from alignment.records.rollout import RolloutRow
from alignment.records.run_folder import RunFolder
from smoke.processes import alignment
from smoke.small_recipe import ROLLOUT, write_recipe

TOOLS = {"kind": "tools", "tools": ["calculator", "store"], "max_turns": 2}
ONE_STEP = {"max_steps": 1, "min_digits": 1, "max_digits": 1}
ROOM = {"max_prompt_tokens": 800, "max_completion_tokens": 96}


def test_a_run_with_tools_goes_from_imitation_to_rl_and_is_measured(tmp_path: Path) -> None:
    imitation = {
        "name": "cold_start", "kind": "sft", "max_length": 640, "packing": False,
        "data": [{"source": "tool-sums", "split": "cold_start", "count": 24, "seed": 1, "parameters": ONE_STEP}],
        "trainer": {"max_steps": 6, "per_device_train_batch_size": 2, "learning_rate": 1.0e-3},
    }  # fmt: skip
    tool_rl = {
        "name": "tool_rl", "kind": "grpo", "micro_batch": 8,
        "data": [{"source": "tool-sums", "split": "reasoning", "count": 8, "seed": 2, "parameters": ONE_STEP}],
        "rollout": {**ROLLOUT, **ROOM, "environment": TOOLS},
        "rewards": [{"kind": "tool_call", "graded": True}, {"kind": "think_format", "weight": 0.1}],
        "trainer": {"max_steps": 1, "learning_rate": 1.0e-5},
    }  # fmt: skip
    measured = {
        **ROOM, "after_each_stage": ["tool-sums"], "parameters": {"tool-sums": ONE_STEP}, "count": 4, "follow_count": 2,
        "engine": "transformers", "environment": TOOLS,
    }  # fmt: skip
    recipe = write_recipe(tmp_path / "tools.yaml", imitation, tool_rl, evaluations=measured)
    run = tmp_path / "run"
    done = alignment("run", recipe, "--run", run)
    assert done.returncode == 0, done.stderr
    folder = RunFolder.open(run).find("tool_rl")
    rows = list(RolloutRow.read_lines(folder.rollouts))
    assert len(rows) == 16 and {row.stop_reason for row in rows} <= {"end", "length", "turns"}
    assert all("store_set" in json.dumps(row.opening.tools) for row in rows if row.opening), (
        "the executed tools are offered"
    )
    assert all(row.opening for row in rows)
    found = EvaluationRecord.read(folder.evaluations / "thinking.json").figures
    assert found.calls_count == 4 and found.calls_right is not None and found.calls_right.value is not None
    shown = alignment("show", run)
    assert shown.returncode == 0 and "calls right" in shown.stdout
