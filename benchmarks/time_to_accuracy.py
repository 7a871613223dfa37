"""Time until RL reaches an accuracy, by what decides which completions a step trains on: `python -m alignment.run.processes python
benchmarks/time_to_accuracy.py POLICY`.

The demo's reasoning RL from a cold-started POLICY (runs/tiny-thinking/01-cold_start/output), at a constant learning
rate. Every few steps held-out problems are answered greedily; that is not counted. The time is that of the first of two
measurements in a row with at least the accuracy, in seconds of the processor, which other jobs of the machine do not
stretch, and of the clock. Arms are compared with `plain`, which asks for each problem once an epoch and takes all
groups. Bound: 1.5, median of 3 seeds.
"""

import itertools
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers import TrainerCallback

from alignment.core.resources import resource
from alignment.data.rows import Problem
from alignment.evaluation.task import task_problems
from alignment.inference.engine import SamplingSettings
from alignment.recipe.blocks.rewards import Reward
from alignment.rollout.episode import RolloutRequest
from alignment.rollout.scoring import Scorer, is_right
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.stages import grpo

SERVER = "{type: vllm_server, workers: 1}"
ARMS: dict[str, dict[str, str]] = {
    "plain": {},
    "order": {"rollout.order": "reward_variance"},
    "dynamic": {"rollout.dynamic_sampling": "true"},
    "both": {"rollout.order": "reward_variance", "rollout.dynamic_sampling": "true"},
    "server": {"rollout.engine": SERVER},
    "overlap": {"rollout.engine": SERVER, "rollout.max_staleness": "1", "algorithm": "{type: dapo, importance_cap: 2}"},
}


class Watch(TrainerCallback):
    """Counts the time of steps, and measures the policy between them. Stops training once the accuracy is reached twice in a row."""

    def __init__(self, context: StageContext, problems: list[Problem], target: float, every: int, name: str) -> None:
        self._sampler, self._target, self._every, self._name = context.trajectory_sampler(), target, every, name
        self._requests = [RolloutRequest(problem, "thinking") for problem in problems]
        self._specs = [Reward(kind="math_answer")]
        self._scorer = Scorer(self._specs)
        self._seconds, self._processor_seconds = 0.0, 0.0
        self._began = 0.0, 0.0
        self.points: list[dict[str, float]] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start both clocks."""
        self._began = time.monotonic(), time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Stop both clocks, and measure."""
        self._seconds += time.monotonic() - self._began[0]
        self._processor_seconds += time.process_time() - self._began[1]
        if state.global_step % self._every:
            return
        self._sampler.sampler.engine.load_weights((name, one.detach()) for name, one in model.named_parameters())
        made = self._sampler.sample(self._requests, SamplingSettings(temperature=0, logprobs=False))
        judged = self._scorer.judge([one.problem for one in self._requests], made)
        accuracy = sum(bool(is_right(one, self._specs)) for one in judged) / len(judged)
        point = {
            "step": state.global_step,
            "accuracy": round(accuracy, 4),
            "processor_seconds": round(self._processor_seconds, 1),
        }
        self.points.append({**point, "seconds": round(self._seconds, 1)})
        print(json.dumps({"arm": self._name, **self.points[-1]}), flush=True)
        if self.reached() is not None:
            control.should_training_stop = True

    def reached(self) -> dict[str, float] | None:
        """The first of two points in a row with the accuracy."""
        pairs = itertools.pairwise(self.points)
        return next((one for one, two in pairs if min(one["accuracy"], two["accuracy"]) >= self._target), None)


def trained_beside(plan: RunPlan, policy: str) -> StageContext:
    """The demo's stage with its own engine, for measuring whatever engine samples."""
    recipe = RunPlan.load(resource("recipes/tiny-thinking.yaml"), []).recipe
    return StageContext(recipe, recipe.stage("reasoning_rl"), plan.run, plan.folder("reasoning_rl"), policy)


def main(
    policy: Annotated[Path, typer.Argument(help="A cold-started policy.")],
    arms: Annotated[str, typer.Option(help=f"With commas, of {', '.join(ARMS)}.")] = "plain,order,dynamic,both",
    seeds: Annotated[str, typer.Option(help="With commas.")] = "17",
    target: Annotated[float, typer.Option(help="The accuracy that is to be reached.")] = 0.8,
    steps: Annotated[int, typer.Option(help="Steps after which a run gives up.")] = 80,
    every: Annotated[int, typer.Option(help="Steps between measurements.")] = 4,
    count: Annotated[int, typer.Option(help="Held-out problems.")] = 480,
    more: Annotated[
        list[str] | None, typer.Option("--set", help="Settings of the stage for all arms, as `rollout.generations=16`.")
    ] = None,
) -> None:
    """Print a JSON line for each measurement and each run."""
    for seed, arm in itertools.product(seeds.split(","), arms.split(",")):
        chosen = {
            "start_from": "null",
            "trainer": f"{{max_steps: {steps}, learning_rate: 2.0e-4, lr_scheduler_type: constant}}",
        }
        chosen |= ARMS[arm] | dict(one.split("=", 1) for one in more or ())
        settings = [f"stages.reasoning_rl.{name}={value}" for name, value in chosen.items()]
        with tempfile.TemporaryDirectory() as folder:
            plan = RunPlan.load(
                resource("recipes/tiny-thinking.yaml"), [f"seed={seed}", *settings], Path(folder) / "run"
            )
            stage = plan.folder("reasoning_rl")
            stage.path.mkdir(parents=True)
            context = StageContext(plan.recipe, plan.recipe.stage("reasoning_rl"), plan.run, stage, str(policy))
            trainer, _ = grpo.build(context)
            problems = task_problems("chain-sum", count, seed=1, parameters={})
            watch = Watch(trained_beside(plan, str(policy)), problems, target, every, arm)
            trainer.add_callback(watch)
            with context.at_end:
                trainer.train()
        line = {"arm": arm, "seed": int(seed), "target": target, "reached": watch.reached(), "last": watch.points[-1]}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    typer.run(main)
