"""What a slow verifier costs a GRPO step: `python -m alignment.run.processes python benchmarks/staleness.py POLICY`.

The demo's reasoning RL from a cold-started POLICY (runs/tiny-thinking/01-cold_start/output), with a verifier that takes
`--verifier` seconds for each call at every second step and none at the others, so that both sides of a ratio share the
machine's load. `growth` is the median over pairs of neighbouring steps. Bound: a verifier of 0.2 s lengthens a step by less
than 10%. With `--staleness 1` steps are judged beside training, on a server; without, beside sampling alone.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from transformers import TrainerCallback

from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.stages import grpo

REWARD = '''"""A verifier that takes its time at every second step: as long as the file beside it says."""

import time
from pathlib import Path

PACE = Path(__file__).with_name("seconds")


def slow(completions, answer):
    time.sleep(float(PACE.read_text()))
    PACE.with_name("calls").open("a").write("1")
    return [float(str(right) in text.rpartition("</think>")[2]) for text, right in zip(completions, answer)]
'''
SERVER = {"engine": "{type: vllm_server, workers: 1}"}
LEFT_OUT = 2  # first steps, which start engines and fill caches


class Pace(TrainerCallback):
    """Slows the verifier at every second step, and measures steps."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._seconds = folder, seconds
        self.times: list[float] = []
        self.calls: list[int] = []
        self._began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The rollouts that are judged from now on are those of this step, or, sampled beside training, of the next."""
        (self._folder / "seconds").write_text(str(self._seconds * (state.global_step % 2)), encoding="utf-8")
        (self._folder / "calls").write_text("", encoding="utf-8")
        self._began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """One step more."""
        self.times.append(time.monotonic() - self._began)
        self.calls.append(len((self._folder / "calls").read_text(encoding="utf-8")))


def main(
    policy: Annotated[Path, typer.Argument(help="A cold-started policy.")],
    verifier: Annotated[float, typer.Option(help="Seconds of a call.")] = 0.2,
    steps: Annotated[int, typer.Option(help="Steps; the first two are left out.")] = 14,
    staleness: Annotated[int, typer.Option(help="max_staleness; above 0 on a server.")] = 0,
) -> None:
    """Print a JSON line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "verifier.py").write_text(REWARD, encoding="utf-8")
        chosen = {
            "start_from": "null",
            "algorithm": "{type: dapo, importance_cap: 2}",
            "rewards": f"[{{kind: '{folder}/verifier.py:slow'}}]",
            "trainer.max_steps": str(steps),
            "rollout.max_staleness": str(staleness),
            **({f"rollout.{key}": value for key, value in SERVER.items()} if staleness else {}),
        }
        settings = [f"stages.reasoning_rl.{key}={value}" for key, value in chosen.items()]
        plan = RunPlan.load(resource("recipes/tiny-thinking.yaml"), settings, folder / "run")
        stage = plan.folder("reasoning_rl")
        stage.path.mkdir(parents=True)
        context = StageContext(plan.recipe, plan.recipe.stage("reasoning_rl"), plan.run, stage, str(policy))
        pace = Pace(folder, verifier)
        pace.on_step_begin(
            None, type("State", (), {"global_step": 0}), None
        )  # the first problems are judged at the start
        trainer, _ = grpo.build(context)
        trainer.add_callback(pace)
        with context.at_end:
            trainer.train()
        waited = [
            json.loads(line)["seconds_verdicts"] for line in stage.metrics.read_text(encoding="utf-8").splitlines()
        ]
    print(json.dumps({"max_staleness": staleness, "verifier_seconds": verifier, **figures(pace, waited, verifier)}))


def figures(pace: Pace, waited: list[float], verifier: float) -> dict[str, float]:
    """Medians over pairs of a step with a quick verifier and the one after it, with a slow one."""
    pairs = range(LEFT_OUT, len(pace.times) - 1, 2)
    quick, slow = ([pace.times[one + late] for one in pairs] for late in (0, 1))
    longer = [waited[one + 1] - waited[one] for one in pairs]
    spent = [verifier * pace.calls[one + 1] for one in pairs]
    return {
        "pairs": len(pairs),
        "median_step_seconds": round(statistics.median(quick), 3),
        "growth": round(statistics.median(late / early - 1 for early, late in zip(quick, slow, strict=True)), 3),
        "verifier_seconds_a_step": round(statistics.median(spent), 3),
        "not_hidden_seconds_a_step": round(statistics.median(longer), 3),
    }


if __name__ == "__main__":
    typer.run(main)
