"""The memory that `alignment plan` expects of a stage, against the most that its process really held, on three shapes.

`python benchmarks/memory_plan.py [SHAPE ...]` trains random weights of each shape for two steps of SFT on this CPU and compares
the largest resident set of any process of the run. SmolLM2-135M and Qwen3-0.6B need 4 and 12 GiB. No weights are fetched.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from alignment.checks.recipe import checked
from alignment.core.resources import resource
from alignment.sizing.cluster import GIB
from alignment.sizing.estimate import estimates

WITHIN = 0.25
# Configs (transformers' names), rows of a step and tokens of a row.
SHAPES = {
    "embedded": (None, 16, 256),
    "SmolLM2-135M": ({"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9,
                      "num_key_value_heads": 3, "intermediate_size": 1536, "vocab_size": 49_152}, 4, 512),
    "Qwen3-0.6B": ({"model_type": "qwen3", "hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16,
                    "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 3072, "vocab_size": 151_936}, 1, 512),
}  # fmt: skip


def main(names: list[str]) -> None:
    """Print a row for each shape; exit status 1 if one is not within 25%."""
    good = True
    print(f"{'shape':14} {'tokens a step':>13} {'expected GiB':>13} {'measured GiB':>13} {'expected / measured':>20}")
    for name in names or list(SHAPES):
        config, rows, length = SHAPES[name]
        folder = Path(tempfile.mkdtemp(prefix="memory-"))
        recipe = written(folder, config, rows, length)
        expected, measured = expected_gib(recipe), measured_gib(recipe, folder)
        ratio = expected / measured
        good = good and abs(ratio - 1) <= WITHIN
        print(f"{name:14} {rows * length:13,} {expected:13.2f} {measured:13.2f} {ratio:20.2f}", flush=True)
        shutil.rmtree(folder)
    raise SystemExit(not good)


def written(folder: Path, config: dict[str, object] | None, rows: int, length: int) -> Path:
    """A recipe of one SFT stage on rows that fill their length, and its model."""
    model = "embedded"
    if config is not None:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        torch.manual_seed(0)
        shape = {**config, "tie_word_embeddings": True, "eos_token_id": 2}
        kind = shape.pop("model_type")
        AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape), dtype=torch.float32).save_pretrained(
            folder / "model"
        )
        for path in resource("data/base").iterdir():
            if path.name.startswith(("token", "special", "chat")):
                shutil.copy(path, folder / "model")
        model = str(folder / "model")
    talk = [
        {"role": "user", "content": "1 + 2 = "},
        {"role": "assistant", "content": "<think>\n3\n</think>\n\n" + "3 4 5 " * ((length - 150) // 6)},
    ]
    (folder / "rows.jsonl").write_text((json.dumps({"messages": talk}) + "\n") * (8 * rows), encoding="utf-8")
    stage = {
        "name": "cold_start", "kind": "sft", "data": str(folder / "rows.jsonl"), "max_length": length, "packing": True,
        "trainer": {"max_steps": 2, "per_device_train_batch_size": rows},
    }  # fmt: skip
    recipe = {"name": "memory", "model": model, "stages": [stage], "evaluations": {"after_each_stage": []}}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def expected_gib(recipe: Path) -> float:
    """What the plan says of the stage."""
    plan = checked(recipe, [])
    found = estimates(plan.recipe, plan.base.path)
    if found is None:
        raise SystemExit(f"no shape can be read from {plan.base.path}")
    return found.stages[0].memory.gib


def measured_gib(recipe: Path, folder: Path) -> float:
    """The largest resident set of any process of the run."""
    command = [sys.executable, "-m", "alignment.cli", "run", str(recipe), "--run", str(folder / "run")]
    log = (folder / "log").open("w", encoding="utf-8")
    started = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    _, status, usage = os.wait4(started.pid, 0)
    if status:
        raise SystemExit((folder / "log").read_text(encoding="utf-8")[-2000:])
    return usage.ru_maxrss * 1024 / GIB


if __name__ == "__main__":
    main(sys.argv[1:])
