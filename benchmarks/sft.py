"""Trained tokens per second on ragged long-CoT rows against `trl sft` with its defaults: `python benchmarks/sft.py`.

Both train the embedded model on the same rows of 10 to 400 tokens, with the same loss mask, batch, learning rate and
number of steps; what differs is how it is done. The peer runs twice: in the environment of whoever types the command,
and in the one that this project's launcher makes (allocator, OpenMP). Time is what the trainer itself reports for its
steps, so neither start nor saving counts. Pairs in turn, the median of the ratios. Bound: at least 2 at the same loss.
"""

import ast
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml
from transformers import AutoTokenizer

from alignment.core.resources import resource
from alignment.data.chat.template import render_conversation
from alignment.data.mixture import conversations_of, load_parts
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.run.processes import training_command

ROWS = 512
LEARNING_RATE = 1e-3
RECIPE = {
    "name": "bench-sft",
    "model": "embedded",
    "stages": [
        {
            "name": "long_cot",
            "kind": "sft",
            "data": [
                {
                    "source": "chain-sum",
                    "split": "cold_start",
                    "count": ROWS,
                    "seed": 1,
                    "mode": "thinking",
                    "parameters": {"min_terms": 2, "max_terms": 26},
                }
            ],
            "max_length": 1024,
            "packing": False,
            "trainer": {"num_train_epochs": 1, "per_device_train_batch_size": 8, "learning_rate": LEARNING_RATE},
        }
    ],
}


@dataclass(frozen=True)
class Trained:
    """Seconds of the steps alone, and the mean loss over them."""

    seconds: float
    loss: float


def trained(command: list[str], env: dict[str, str], where: Path) -> Trained:
    """Run a training command and read what its trainer says at the end."""
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=where)
    found = re.findall(r"\{'train_runtime'.*?\}", done.stdout + done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    said = ast.literal_eval(found[-1])
    return Trained(float(said["train_runtime"]), float(said["train_loss"]))


def rows_for_peer(recipe: Path, folder: Path) -> tuple[int, int]:
    """Write the stage's rows, in tokens and with their labels, where `trl sft` reads them; returns rows and tokens."""
    loaded = RunPlan.load(recipe, []).recipe
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    conversations = conversations_of(loaded, load_parts(loaded.stage("long_cot").data), Path)
    rows = [render_conversation(tokenizer, row) for row in conversations]
    folder.mkdir()
    lines = (json.dumps({"input_ids": row.input_ids, "labels": row.labels}) + "\n" for row in rows)
    (folder / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    lengths = sorted(len(row.input_ids) for row in rows)
    print(f"{len(rows)} rows of {lengths[0]} to {lengths[-1]} tokens, median {lengths[len(lengths) // 2]}", flush=True)
    return len(rows), sum(lengths)


def peer(rows: Path, output: Path) -> list[str]:
    """`trl sft` with its defaults; the model, the rows, the rate and where to write have none, and it refuses a CPU unasked."""
    return [
        str(Path(sys.executable).with_name("trl")), "sft", "--model_name_or_path", str(resource("data/base")),
        "--dataset_name", str(rows), "--output_dir", str(output), "--num_train_epochs", "1",
        "--learning_rate", str(LEARNING_RATE), "--report_to", "none", "--save_strategy", "no", "--use_cpu", "true",
    ]  # fmt: skip


def main(pairs: Annotated[int, typer.Option(help="Pairs of runs.")] = 3) -> None:
    """Print each pair and the median ratios of trained tokens per second."""
    launched = environment(Hardware(), offline=True)
    plain = {**os.environ, "HF_HUB_OFFLINE": "1"}
    by_environment: dict[str, list[float]] = {"its own environment": [], "the launcher's environment": []}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        recipe = folder / "recipe.yaml"
        recipe.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
        _, tokens = rows_for_peer(recipe, folder / "rows")
        for number in range(pairs):
            stage = [str(recipe), "--stage", "long_cot", "--run", str(folder / f"ours-{number}")]
            ours = trained(training_command(Hardware(), stage), launched, folder)
            print(f"stage: {tokens / ours.seconds:,.0f} tokens/s, loss {ours.loss:.4f}", flush=True)
            for name, env in zip(by_environment, (plain, launched), strict=True):
                theirs = trained(peer(folder / "rows", folder / f"peer-{number}"), env, folder)
                by_environment[name].append(theirs.seconds / ours.seconds)
                print(
                    f"trl sft in {name}: {tokens / theirs.seconds:,.0f} tokens/s, loss {theirs.loss:.4f}, "
                    f"ratio {by_environment[name][-1]:.2f}",
                    flush=True,
                )
    medians = {name: round(statistics.median(ratios), 2) for name, ratios in by_environment.items()}
    print(json.dumps({"benchmark": "sft", "ratio": medians, "bound": 2.0}))


if __name__ == "__main__":
    typer.run(main)
