"""A run directory may be renamed between two stages: a continued adapter finds the base of its own run."""

import shutil
from pathlib import Path

import pytest
import yaml

from alignment.core.errors import AlignmentError
from alignment.run import stage as entry
from alignment.run.plan import RunPlan


def recipe(folder: Path) -> Path:
    common = {
        "kind": "sft", "data": [{"source": "chain-sum", "split": "cold_start", "count": 8}], "max_length": 256,
        "packing": False, "trainer": {"max_steps": 1, "per_device_train_batch_size": 2, "learning_rate": 1.0e-3},
    }  # fmt: skip
    loras = (None, {"rank": 4, "alpha": 8}, {"rank": 4, "alpha": 8, "adapter": "continue"})
    stages = [{"name": name, **common, "lora": lora} for name, lora in zip(("one", "two", "three"), loras, strict=True)]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"name": "chain", "model": "embedded", "stages": stages}), encoding="utf-8")
    return path


def test_a_renamed_run_continues_on_its_own_weights_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a run is named by a relative path, as people do
    for name, value in {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}.items():
        monkeypatch.setenv(name, value)
    path, first = recipe(tmp_path), Path("runs/chain")
    for name in ("one", "two"):
        entry._run(RunPlan.load(path, [], first), name, 0.0)
    renamed, changed = Path("runs/renamed"), Path("runs/changed")
    shutil.copytree(first, renamed)
    shutil.copytree(first, changed)
    entry._run(RunPlan.load(path, [], first), "three", 0.0)
    shutil.rmtree(first / "01-one" / "output")  # whoever still reads the folder of the old name fails
    plan = RunPlan.load(path, [], renamed)
    entry._run(plan, "three", 0.0)
    weights = [run / "03-three" / "output" / "model.safetensors" for run in (first, renamed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert set(plan.folder("three").manifest().inputs) == {"one", "two"}
    base = changed / "01-one" / "output" / "generation_config.json"
    base.write_text(base.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(AlignmentError, match="it was cut short or changed"):
        entry._run(RunPlan.load(path, [], changed), "three", 0.0)
