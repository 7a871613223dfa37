"""Seconds and memory of a GRPO step on real weights, against TRL: `python benchmarks/grpo_real.py compare MODEL`.

The stage of recipes/smollm2-instructions.yaml and a bare GRPOTrainer with its own generation: same model, adapter,
prompts, batch, lengths, precision, loss, KL term and rewards (without the fluency scorer, which TRL has not). Pairs in
turn, the median of the ratios; memory is the most that a process held. Bounds: 3 times faster, 5 GiB.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from overhead import peer, per_step

from alignment.core.resources import resource
from alignment.data.mixture import load_parts, problems_of
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.run.processes import training_command

app = typer.Typer()
RECIPE = resource("recipes/smollm2-instructions.yaml")
STAGE = "instruction_rl"
RATIO_BOUND, MEMORY_BOUND_GIB = 3, 5


@app.command()
def compare(
    model: Annotated[Path, typer.Argument(help="SmolLM2-135M-Instruct, from `alignment model convert smollm2-135m`.")],
    steps: Annotated[int, typer.Option(help="Optimizer steps of each.")] = 5,
    problems: Annotated[int, typer.Option(help="Problems a step; the recipe has 16.")] = 16,
    pairs: Annotated[int, typer.Option(help="Pairs of runs.")] = 3,
    ours_only: Annotated[bool, typer.Option("--ours-only", help="Without the peer.")] = False,
) -> None:
    """Ratio of TRL's seconds per step, generating by itself, to ours."""
    ratios, held = [], []
    for number in range(pairs):
        with tempfile.TemporaryDirectory() as scratch:
            recipe, bare = _without_scorers(Path(scratch), model, steps, problems), Path(scratch) / "bare.jsonl"
            arguments = [str(recipe), "--stage", STAGE, "--run", f"{scratch}/run"]
            held.append(gib_held_by(training_command(RunPlan.load(recipe, []).recipe.hardware, arguments)))
            ours = per_step(Path(scratch) / f"run/01-{STAGE}/metrics.jsonl")
            print(
                f"stage: {ours['seconds']:.1f} s per step, {ours['tokens']:.0f} tokens each, {held[-1]:.1f} GiB",
                flush=True,
            )
            if ours_only:
                continue
            memory = gib_held_by(peer("bare", recipe, bare, file=__file__))
            theirs = per_step(bare)
        ratios.append(theirs["seconds"] / ours["seconds"])
        print(f"bare TRL: {theirs['seconds']:.1f} s per step, {theirs['tokens']:.0f} tokens each, {memory:.1f} GiB")
        print(f"pair {number + 1}: ratio {ratios[-1]:.2f}", flush=True)
    found = {"benchmark": "grpo real", "gib": round(max(held), 1), "gib_bound": MEMORY_BOUND_GIB}
    if ratios:
        found |= {"ratio": round(statistics.median(ratios), 2), "bound": RATIO_BOUND}
    print(json.dumps(found))


def gib_held_by(command: list[str]) -> float:
    """The most that a command, or a process which it started and waited for, held. Its output is shown only if it fails."""
    with tempfile.TemporaryFile("w+") as output:
        env = environment(Hardware(), offline=True, large=True)
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, text=True, env=env)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read()[-4000:]}")
    return used.ru_maxrss / 2**20


def _without_scorers(folder: Path, model: Path, steps: int, problems: int) -> Path:
    """The recipe with the stage's scorers and the evaluations left out."""
    values = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    (stage,) = values["stages"]
    del stage["scorers"], values["evaluations"]
    values["model"] = str(model.resolve())
    stage["trainer"]["max_steps"], stage["rollout"]["problems_per_step"] = steps, problems
    path = folder / "rl.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


@app.command(hidden=True)
def bare(recipe_path: Path, metrics: Path) -> None:
    """What someone would write by hand: the same problems, batch, lengths and adapter on GRPOTrainer, which generates itself."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from rewards import reward_function

    recipe = RunPlan.load(recipe_path, []).recipe
    stage: Any = recipe.stage(STAGE)
    problems = problems_of(recipe, load_parts(stage.data))
    batch = stage.rollout.problems_per_step * stage.rollout.generations

    class Clock(TrainerCallback):
        """Writes the seconds and lengths of each step."""

        started = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs and "completions/mean_length" in logs:
                tokens, now = logs["completions/mean_length"], time.monotonic()
                with metrics.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"seconds": now - self.started, "completion_tokens": tokens}) + "\n")

    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(recipe.model, dtype=stage.weights_dtype),
        args=GRPOConfig(
            output_dir=str(metrics.with_suffix("")), seed=recipe.seed, report_to="none", logging_steps=1, use_cpu=True,
            gradient_checkpointing=False, disable_tqdm=True, save_strategy="no", dataloader_pin_memory=False,
            per_device_train_batch_size=stage.micro_batch, gradient_accumulation_steps=batch // stage.micro_batch,
            num_generations=stage.rollout.generations, max_completion_length=stage.rollout.max_completion_tokens,
            loss_type=stage.algorithm.type, beta=stage.algorithm.beta, **stage.trainer,
        ),
        train_dataset=Dataset.from_list([{"prompt": one.messages, "answer": one.answer, **one.columns} for one in problems]),
        processing_class=AutoTokenizer.from_pretrained(recipe.model),
        reward_funcs=reward_function([spec.model_dump(exclude_none=True) for spec in stage.rewards]),
        peft_config=LoraConfig(r=stage.lora.rank, lora_alpha=stage.lora.alpha, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    app()
