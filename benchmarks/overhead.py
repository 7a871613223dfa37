"""What a stage costs beside a bare TRL script that does the same training: `python benchmarks/overhead.py sft|grpo`.

sft: wall time of whole processes, started the same way (accelerate launch, same environment), same rows, steps and
settings; pairs in turn, the median of the ratios. Bound: 1.05. grpo: seconds per optimizer step against TRL with its
own generation (transformers.generate) on the same model, prompts, batch, lengths and precision; pairs in turn, the
median of the ratios. `--ragged` asks seven short sums for each long one, so that completions come to a quarter of their
limit on average and the longest reach it. Bound: at least 2 times faster at the demo's settings, 3 times where
completions are ragged.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from alignment.core.resources import resource
from alignment.data.mixture import conversations_of, load_parts, problems_of
from alignment.recipe.blocks.hardware import Hardware
from alignment.run.launcher import launcher_config
from alignment.run.plan import RunPlan
from alignment.run.process_environment import environment
from alignment.run.processes import training_command
from alignment.training.kinds.grpo import GrpoStage
from alignment.training.kinds.sft import SftStage

app = typer.Typer()
RECIPE = resource("recipes/tiny-thinking.yaml")
WARM_STEPS = 2  # the first steps start engines and fill caches


def seconds_of(command: list[str]) -> float:
    """Wall time of a command; its output is shown only if it fails."""
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env=environment(Hardware(), offline=True))
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return time.monotonic() - started


def peer(name: str, *arguments: object, file: str = __file__) -> list[str]:
    """A benchmark's own bare TRL script, launched as a stage is."""
    hardware = RunPlan.load(RECIPE, []).recipe.hardware
    launcher = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(launcher_config(hardware).path),
    ]
    return [*launcher, "--num_processes", "1", file, name, *map(str, arguments)]


@app.command()
def sft(pairs: Annotated[int, typer.Option(help="Pairs of runs.")] = 3) -> None:
    """Ratio of the cold-start stage's wall time to a bare SFTTrainer's."""
    plan, ratios = RunPlan.load(RECIPE, []), []
    for number in range(pairs):
        with tempfile.TemporaryDirectory() as scratch:
            arguments = [str(RECIPE), "--stage", "cold_start", "--run", scratch]
            ours = seconds_of(training_command(plan.recipe.hardware, arguments))
            theirs = seconds_of(peer("bare-sft", Path(scratch) / "bare"))
        ratios.append(ours / theirs)
        print(f"pair {number + 1}: stage {ours:.1f} s, bare TRL {theirs:.1f} s, ratio {ratios[-1]:.3f}", flush=True)
    print(json.dumps({"benchmark": "overhead sft", "ratio": round(statistics.median(ratios), 3), "bound": 1.05}))


@app.command()
def grpo(
    start_from: Annotated[
        Path, typer.Argument(help="A trained policy, such as runs/tiny-thinking/01-cold_start/output.")
    ],
    steps: Annotated[int, typer.Option(help="Optimizer steps of each.")] = 8,
    ragged: Annotated[
        bool, typer.Option("--ragged", help="Mostly short completions, and some of full length.")
    ] = False,
    pairs: Annotated[int, typer.Option(help="Pairs of runs.")] = 3,
) -> None:
    """Ratio of TRL's seconds per step, generating by itself, to ours."""
    ratios = []
    for number in range(pairs):
        with tempfile.TemporaryDirectory() as scratch:
            settings = [f"stages.reasoning_rl.trainer.max_steps={steps}", f"model={start_from.resolve()}"]
            recipe = _only_rl(Path(scratch), [*settings, "stages.reasoning_rl.start_from=null"], ragged)
            arguments = [str(recipe), "--stage", "reasoning_rl", "--run", f"{scratch}/run"]
            seconds_of(training_command(RunPlan.load(recipe, []).recipe.hardware, arguments))
            seconds_of(peer("bare-grpo", recipe, f"{scratch}/bare.jsonl"))
            ours = per_step(Path(scratch) / "run" / "01-reasoning_rl" / "metrics.jsonl")
            theirs = per_step(Path(scratch) / "bare.jsonl")
        ratios.append(theirs["seconds"] / ours["seconds"])
        for name, found in (("stage", ours), ("bare TRL", theirs)):
            print(f"{name}: {found['seconds']:.2f} s per step, {found['tokens']:.0f} tokens per completion")
        print(f"pair {number + 1}: ratio {ratios[-1]:.2f}", flush=True)
    result = {"benchmark": "overhead grpo" + " ragged" * ragged, "ratio": round(statistics.median(ratios), 2)}
    print(json.dumps({**result, "bound": 3 if ragged else 2}))


RAGGED = [
    {"source": "chain-sum", "split": "reasoning", "count": 896, "seed": 2, "parameters": {"max_terms": 4}},
    {
        "source": "chain-sum",
        "split": "reasoning",
        "count": 128,
        "seed": 2,
        "parameters": {"min_terms": 14, "max_terms": 18},
    },
]


def _only_rl(folder: Path, settings: list[str], ragged: bool) -> Path:
    """The demo recipe with its RL stage alone."""
    import yaml

    values = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    values["stages"] = [stage for stage in values["stages"] if stage["name"] == "reasoning_rl"]
    if ragged:
        values["stages"][0]["data"] = RAGGED
    path = folder / "rl.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    changed = RunPlan.load(path, settings).recipe
    path.write_text(yaml.safe_dump(changed.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    return path


def per_step(metrics: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    times = [line["seconds"] for line in lines]
    between = [after - before for before, after in zip(times[WARM_STEPS - 1 :], times[WARM_STEPS:], strict=False)]
    tokens = statistics.mean(line["completion_tokens"] for line in lines)
    return {"seconds": statistics.median(between), "tokens": tokens}


@app.command(hidden=True)
def bare_sft(output: Path) -> None:
    """What someone would write by hand: the same rows and settings on SFTTrainer."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    from alignment.data.chat.template import render_conversation

    recipe = RunPlan.load(RECIPE, []).recipe
    stage = recipe.stage("cold_start")
    assert isinstance(stage, SftStage)
    base = resource("data/base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = [render_conversation(tokenizer, row) for row in conversations_of(recipe, load_parts(stage.data), Path)]
    settings = SFTConfig(
        output_dir=str(output), seed=recipe.seed, report_to="none", logging_steps=1, disable_tqdm=True, use_cpu=True,
        bf16=False, gradient_checkpointing=False, dataloader_pin_memory=False, save_strategy="steps",
        save_steps=stage.save_every_steps, save_total_limit=2, max_length=stage.max_length, packing=stage.packing, **stage.trainer,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype="float32"),
        args=settings,
        train_dataset=Dataset.from_dict({"input_ids": [r.input_ids for r in rows], "labels": [r.labels for r in rows]}),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(str(output / "final"))


@app.command(hidden=True)
def bare_grpo(recipe_path: Path, metrics: Path) -> None:
    """What someone would write by hand: the same problems, batch and lengths on GRPOTrainer with its own generation."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from rewards import reward_function

    recipe = RunPlan.load(recipe_path, []).recipe
    stage = recipe.stage("reasoning_rl")
    assert isinstance(stage, GrpoStage)
    problems = problems_of(recipe, load_parts(stage.data))
    batch = stage.rollout.problems_per_step * stage.rollout.generations

    class Clock(TrainerCallback):
        """Writes the seconds and lengths of each step."""

        started = time.monotonic()

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
            if logs and "completions/mean_length" in logs:
                line = {
                    "seconds": time.monotonic() - self.started,
                    "completion_tokens": logs["completions/mean_length"],
                }
                with metrics.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")

    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(recipe.model, dtype="float32"),
        args=GRPOConfig(
            output_dir=str(metrics.with_suffix("")), seed=recipe.seed, report_to="none", logging_steps=1, use_cpu=True,
            bf16=False, gradient_checkpointing=False, disable_tqdm=True, save_strategy="no", dataloader_pin_memory=False,
            per_device_train_batch_size=stage.micro_batch, gradient_accumulation_steps=batch // stage.micro_batch,
            num_generations=stage.rollout.generations, max_completion_length=stage.rollout.max_completion_tokens,
            **stage.trainer,
        ),
        train_dataset=Dataset.from_list(
            [{"prompt": [{"role": "user", "content": p.question}], "answer": p.answer, "mode": "thinking"} for p in problems]
        ),
        processing_class=AutoTokenizer.from_pretrained(recipe.model),
        reward_funcs=reward_function([spec.model_dump(exclude_none=True) for spec in stage.rewards]),
        callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()


if __name__ == "__main__":
    app()
