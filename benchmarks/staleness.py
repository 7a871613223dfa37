"""Seconds of a GRPO step with sampling beside training: `python -m alignment.run.processes python benchmarks/staleness.py`.

The demo's RL stage from the embedded model, on a server, with a verifier that takes `--verifier` seconds for each call and one
that takes none, both with max_staleness 0 and 1. Steps of the four runs are not interleaved: nothing else may run. Bound: a
verifier of 0.2 s lengthens a step by less than 10%.
"""

import json
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.stages import grpo

REWARD = '''"""A verifier that takes its time."""

import time


def slow(completions, seconds=0.0):
    time.sleep(seconds)
    return [float(len(set(text))) / 40 for text in completions]
'''


def main(
    verifier: Annotated[float, typer.Option(help="Seconds of a call.")] = 0.2,
    steps: Annotated[int, typer.Option(help="Steps of each run; the first two are left out.")] = 12,
    engine: Annotated[
        str, typer.Option(help="Of the rollout, as a recipe has it.")
    ] = "{type: vllm_server, workers: 1}",
) -> None:
    """Print a JSON line for each run."""
    for staleness in (0, 1):
        found = [seconds(engine, staleness, wait, steps) for wait in (0.0, verifier)]
        growth = statistics.median(found[1]) / statistics.median(found[0]) - 1
        for wait, times in zip((0.0, verifier), found, strict=True):
            line = {"max_staleness": staleness, "verifier_seconds": wait, "median_step": statistics.median(times)}
            print(json.dumps({**line, "steps": times}))
        print(json.dumps({"max_staleness": staleness, "growth": round(growth, 3)}))


def seconds(engine: str, staleness: int, wait: float, steps: int) -> list[float]:
    """The seconds of each step but the first two."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "verifier.py").write_text(REWARD, encoding="utf-8")
        chosen = {
            "start_from": "null",
            "rollout.engine": engine,
            "rollout.max_staleness": str(staleness),
            "algorithm": "{type: dapo, importance_cap: 2}",
            "rewards": f"[{{kind: '{folder}/verifier.py:slow', seconds: {wait}}}]",
            "trainer.max_steps": str(steps),
        }
        settings = [f"stages.reasoning_rl.{name}={value}" for name, value in chosen.items()]
        plan = RunPlan.load(resource("recipes/tiny-thinking.yaml"), settings, Path(folder) / "run")
        stage = plan.folder("reasoning_rl")
        stage.path.mkdir(parents=True)
        base = str(resource("data/base"))
        context = StageContext(plan.recipe, plan.recipe.stage("reasoning_rl"), plan.run, stage, base)
        trainer, _ = grpo.build(context)
        with context.at_end:
            trainer.train()
        lines = [json.loads(line) for line in stage.metrics.read_text(encoding="utf-8").splitlines()]
    ends = [line["seconds"] for line in lines][1:]
    return [round(after - before, 3) for before, after in pairwise(ends)]


if __name__ == "__main__":
    typer.run(main)
