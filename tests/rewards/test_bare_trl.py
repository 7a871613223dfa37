"""The script in docs/rewards.md runs as it stands, with a real TRL trainer and nothing from alignment."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


def test_the_documented_script_trains_a_bare_trl_model_with_these_rewards(tmp_path: Path) -> None:
    pytest.importorskip("trl")
    blocks = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "rewards.md").read_text(), re.DOTALL)
    (source,) = [block for block in blocks if "GRPOTrainer(" in block]
    script = tmp_path / "grpo.py"
    script.write_text(source)
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(tmp_path / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, str(HERE / "bare_trl.py"), str(script), str(tmp_path)]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads(result.stdout.strip().splitlines()[-1])
    assert report["steps"] == 2
    assert not report["alignment"]
    assert {"rewards/reward/mean", "reward/math_answer/mean", "reward/think_format/mean"} <= set(report["logged"])
    assert report["logged"]["reward/math_answer/unknown_fraction"] == 0.0
