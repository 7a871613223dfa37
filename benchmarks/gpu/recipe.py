"""The tiny recipe as a user runs it: a cold start and ten steps of RL under one launcher config.

`recipe.py --config gpu|zero2|zero3|fsdp2 --out FILE [--rehearse]`. The embedded model, one process, `engine: transformers`,
the stages of recipes/tiny-thinking.yaml with fewer steps and no evaluations. What has to hold: every step is taken, the
engine's log-probs stay those of the trainer, and the policy moves. The rehearsal takes the config `cpu`, and fewer steps.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from results import Results

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "tiny-thinking.yaml"
LARGEST_GAP = 0.05  # nats: what rounding in bfloat16 may make (alignment/inference/weights/sync_check.py)
PACKAGES = ("trl", "peft", "deepspeed", "datasets", "pydantic", "math_verify", "reasoning_gym")


def main() -> None:
    """Write the lines of one launcher config."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--config", choices=["gpu", "zero2", "zero3", "fsdp2"], default="gpu")
    parser.add_argument("--out", type=Path, default=Path("gpu-results/results.jsonl"))
    parser.add_argument("--rehearse", action="store_true")
    given = parser.parse_args()
    results = Results(f"recipe_{given.config}", given.out, rehearse=given.rehearse)
    if results.lacks(*PACKAGES):
        return
    with tempfile.TemporaryDirectory() as scratch:
        recipe, steps = written(Path(scratch), "cpu" if given.rehearse else given.config, rehearse=given.rehearse)
        run = Path(scratch) / "run"
        command = [sys.executable, "-m", "alignment.cli", "run", str(recipe), "--run", str(run)]
        done = subprocess.run(command, cwd=ROOT, check=False)
        judge(results, run, steps)
        if done.returncode:
            raise SystemExit(f"alignment run ended with {done.returncode}")


def written(folder: Path, config: str, *, rehearse: bool) -> tuple[Path, int]:
    """A recipe of the demo's first two stages; returns its path and the steps of its RL."""
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    cold_start, rl = recipe["stages"][:2]
    steps = 2 if rehearse else 10
    cold_start["trainer"] |= {"max_steps": 8 if rehearse else 120}
    rl["trainer"] |= {"max_steps": steps}
    if rehearse:
        rl["rollout"] |= {"problems_per_step": 4, "generations": 4, "max_completion_tokens": 32}
    recipe |= {"name": f"gpu-check-{config}", "stages": [cold_start, rl], "evaluations": {}}
    recipe["hardware"] = {"accelerate": config, "processes": 1}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path, steps


def judge(results: Results, run: Path, steps: int) -> None:
    """The lines of a run, from what its RL stage recorded."""
    folder = next(run.glob("*-reasoning_rl"), run)
    path = folder / "metrics.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    rows: list[dict[str, Any]] = [row for row in map(json.loads, text.splitlines()) if "logprob_gap" in row]
    results.add("RL steps taken", len(rows), "steps", expect=f"{steps}", ok=len(rows) == steps, anywhere=True)
    if not rows:
        return
    gap = max(row["logprob_gap"] for row in rows)
    expect = f"at most {LARGEST_GAP}"
    results.add("largest log-prob gap", gap, "nats", expect=expect, ok=gap <= LARGEST_GAP, anywhere=True)
    ends = [row["seconds"] for row in rows]
    between = [after - before for before, after in itertools.pairwise(ends)]
    results.add("seconds of a step", statistics.median(between), "s")
    before = next(run.glob("*-cold_start/output"), run)
    changed, expect = changed_fraction(before, folder / "output"), "at least 0.5"
    results.add("weights that RL has changed", changed, "of all", expect=expect, ok=changed >= 0.5, anywhere=True)


def changed_fraction(before: Path, after: Path) -> float:
    """How many of a policy's weights are not what they were; 0 where a folder has none."""
    from safetensors.torch import load_file

    files = [folder / "model.safetensors" for folder in (before, after)]
    if not all(file.exists() for file in files):
        return 0.0
    old, new = map(load_file, files)
    pairs = [(old[name].float(), new[name].float()) for name in old.keys() & new.keys()]
    return sum(int((one != other).sum()) for one, other in pairs) / max(1, sum(one.numel() for one, _ in pairs))


if __name__ == "__main__":
    main()
