"""Trains the embedded model by every kind, a few steps each, on however many processes the launcher starts.

    python -m accelerate.commands.launch --config_file F --num_processes N tests/ranks/rank_jobs.py FOLDER JOB...

test_ranks.py starts it (forked_ranks.py) with one process and with two and compares what is left in FOLDER/JOB. Rollouts are scripted:
the same rows and rewards for the same global place in a step, so that only the ranks differ.
"""

import gc
import json
import os
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate.state import AcceleratorState
from deepspeed.runtime.sequence_parallel import parallel_state_sp
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from alignment.core.resources import resource
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.main import complete, last_checkpoint, save_proven
from alignment.training.rl.batch import RolledOut, Row, RowSteps
from alignment.training.rl.engine_weights import EngineWeights
from alignment.training.stages import distill, dpo, grpo, prm, reward_model, sft

ROWS_PER_STEP, GENERATIONS, STEPS = 16, 4, 3
RANK = int(os.environ.get("RANK", "0"))
# Steps are small multiples of the gradient where it is small: else Adam makes +-learning_rate of rounding noise.
TRAINER = {"learning_rate": 3.0e-4, "adam_epsilon": 1.0e-3, "max_steps": STEPS, "max_grad_norm": 0.3}
SUMS = {"source": "chain-sum", "split": "reasoning", "count": 32, "seed": 2}
DORA = {"rank": 4, "alpha": 8, "variant": "dora", "targets": "mlp", "modules_to_save": ["embed_tokens"]}
CORRECTED = {"type": "dapo", "importance_cap": 2}
SAMPLING = ("grpo", "distill")  # kinds
SAMPLED = ("rl_sampled", "rl_server", "rl_server_lora", "rl_ahead", "rl_partial")  # by an engine
RESUMED = {f"{job}_resumed": job for job in ("sft", "sft_lora", "sft_shared", "rl")}  # from the second of three steps
REWARD = "def has_an_eight(completions):\n    return [float('8' in text) for text in completions]\n"
LORA = {"rank": 4, "alpha": 8}  # PEFT trains tokens under ZeRO-3 on CUDA alone


class ScriptedRollouts:
    """Random rows whose rewards make groups without variance: on both ranks in turn, on all of one, on none."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def roll_out(
        self, problem_ids: Sequence[str], step: int, weights: EngineWeights, following: Sequence[Sequence[str]] = ()
    ) -> RolledOut:
        for _ in weights():
            pass  # an engine would take them; sharded, they are gathered on all ranks
        rows, rewards, steps = [], [], []
        for place in range(len(problem_ids)):
            group, member = divmod(self._rank * len(problem_ids) + place, GENERATIONS)
            draw = random.Random(f"{step} {group} {member}")
            prompt, completion = (
                [draw.randrange(20, 400) for _ in range(draw.randint(*bounds))] for bounds in ((3, 9), (4, 30))
            )
            rows.append(Row(prompt, completion, [-1.0] * len(completion), [True] * len(completion), truncated=False))
            varied = (group % 2 == 0, group >= ROWS_PER_STEP // GENERATIONS // 2, True)[step]
            rewards.append(float(member % 2) if varied else 1.0)
            steps.append(scripted_steps(draw, len(completion), right=rewards[-1] == 1))
        return RolledOut(rows, rewards, {"zero_variance_groups": 0.0}, steps)


def scripted_steps(draw: random.Random, tokens: int, *, right: bool) -> RowSteps:
    """Steps of six tokens with a separator after each; one answer in five could not be scored."""
    of_token = [-1 if place % 6 == 5 else place // 6 for place in range(tokens)]
    scores = [draw.random() for _ in range(max(of_token) + 1)] if draw.random() > 0.2 else []
    return RowSteps(of_token, scores, min(scores, default=None), right)


def stage(name: str, kind: str, processes: int, **fields: Any) -> dict[str, Any]:
    batch = {"per_device_train_batch_size": 8 // processes}
    trainer = TRAINER if kind in SAMPLING else {**TRAINER, **batch}
    data = (
        [{"stage": "pairs"}]
        if kind in ("dpo", "reward_model")
        else [{**SUMS, **({"mode": "thinking"} if kind == "sft" else {})}]
    )
    return {"name": name, "kind": kind, "start_from": None, "data": data, "trainer": trainer, **fields}


def process_model(name: str, processes: int, folder: Path, **fields: Any) -> dict[str, Any]:
    """The head alone in the first step; rows differ in how many of their steps have a label."""
    settings = {"max_length": 256, "head_fraction": 0.34, "head_learning_rate": 1.0e-3, **fields}
    found = stage(name, "prm", processes, **settings)
    return {**found, "data": [{"source": str(folder / "solutions.jsonl")}]}


def recipe(processes: int, folder: Path, jobs: Sequence[str]) -> dict[str, Any]:
    rollout = {
        "generations": GENERATIONS,
        "problems_per_step": ROWS_PER_STEP // GENERATIONS,
        "max_prompt_tokens": 96,
        "max_completion_tokens": 48,
        "max_logprob_gap": 1000,
    }
    sampled = {**rollout, "engine": "transformers", "dynamic_sampling": True, "max_logprob_gap": None}
    sampled["max_completion_tokens"] = 24
    sampled["order"] = {"by": "reward_variance", "explore": 0.5}
    teachers_own = {"base_url": os.environ.get("TEACHER_URL", ""), "api_key_env": "TEACHER_KEY", "top_logprobs": 40}
    served = {"model": str(folder / f"teacher-{RANK}"), "server": teachers_own}
    server = {"type": "vllm_server", "workers": 1}
    adapter = {**server, "weight_transfer": "lora"}
    ahead = {**sampled, "engine": server, "max_staleness": 1}
    rows = ROWS_PER_STEP // processes  # of each rank
    rl = {"rollout": rollout, "rewards": [{"kind": "math_answer"}], "micro_batch": min(8, rows)}
    parts = {**rl, "micro_batch": 4}  # more than one on each of two ranks
    judged = {
        **rl,
        "rewards": [{"kind": f"{folder}/reward.py:has_an_eight"}],
    }  # some groups differ in it, others do not
    scorer = {"completions": 2}  # never asked: rollouts are scripted, and so are the scores of their steps
    # The teacher is another file for each rank, with the same weights.
    taught = {
        "rollout": rollout,
        "micro_batch": min(8, rows),
        "divergence": "jsd",
        "teacher": {"model": str(folder / f"teacher-{RANK}")},
    }
    # Packs are shared by two ranks: a step has as many of them whether two, four or one rank take it.
    shared = {"max_length": 256, "held_out": {"fraction": 0.2, "keep": "last"}, "sequence_parallel": min(2, processes)}
    batch = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8 // max(1, processes // 2)}
    shared["trainer"] = {**TRAINER, **batch, "max_grad_norm": 100}  # of clipped gradients nobody knows the length
    epochs = {**shared["trainer"], "max_steps": -1, "num_train_epochs": 2}  # the rate falls by how many steps there are
    every_row = {"type": "gspo", "drop_zero_advantage_rows": False}
    stages = [
        stage("sft", "sft", processes, max_length=256, packing=False),
        stage("sft_shared", "sft", processes, **shared),
        stage("sft_shared_lora", "sft", processes, lora=LORA, **{**shared, "trainer": epochs}),
        stage("sft_lora", "sft", processes, max_length=256, packing=False, lora=LORA),
        stage("sft_moe", "sft", processes, max_length=256, packing=False),
        stage("sft_dora", "sft", processes, max_length=256, packing=False, lora=DORA),
        {"name": "pairs", "kind": "sample", "data": [SUMS], "rewards": [{"kind": "math_answer"}]},
        stage("dpo", "dpo", processes, max_length=256),
        stage("reward_model", "reward_model", processes, max_length=256),
        stage("reward_model_lora", "reward_model", processes, max_length=256, lora=LORA),
        process_model("prm", processes, folder),
        process_model("prm_lora", processes, folder, lora=LORA),
        process_model(
            "prm_expanded",
            processes,
            folder,
            head_fraction=0.0,
            expand={"layers": 2, "token_width": 16, "policy_rate": 1.0},
        ),
        stage("rl", "grpo", processes, algorithm="dapo", **parts),
        stage("rl_papo", "grpo", processes, algorithm="papo", process=scorer, **rl),
        stage("rl_pure", "grpo", processes, algorithm="pure", process=scorer, **rl),
        stage("rl_vine", "grpo", processes, algorithm="vine", process=scorer, **rl),
        stage("rl_grpo_process", "grpo", processes, algorithm="grpo_process", process=scorer, **rl),
        stage("rl_gspo", "grpo", processes, algorithm="gspo", **parts),
        stage("rl_gspo_every_row", "grpo", processes, algorithm=every_row, **parts),
        stage("rl_kl", "grpo", processes, algorithm="grpo", **rl),
        stage("rl_lora", "grpo", processes, algorithm="dapo", lora=LORA, **rl),
        stage("distill", "distill", processes, **taught),
        stage("distill_served", "distill", processes, **{**taught, "teacher": served}),
        stage("distill_lora", "distill", processes, lora=LORA, **taught),
        stage("rl_sampled", "grpo", processes, **{**judged, "rollout": sampled}),
        stage("rl_server_lora", "grpo", processes, lora=LORA, **{**judged, "rollout": {**sampled, "engine": adapter}}),
        stage("rl_ahead", "grpo", processes, algorithm=CORRECTED, **{**judged, "rollout": ahead}),
        stage(
            "rl_partial", "grpo", processes, algorithm=CORRECTED, **{**judged, "rollout": {**ahead, "max_staleness": 2}}
        ),
        stage("rl_server", "grpo", processes, **{**judged, "rollout": {**sampled, "engine": server}}),
    ]
    (experts,) = [one for one in stages if one["name"] == "sft_moe"]
    experts["trainer"] = {**experts["trainer"], "router_aux_loss_coef": 1.0}
    for again, job in RESUMED.items():
        (one,) = [one for one in stages if one["name"] == job]
        one |= {"save_every_steps": 1} if again in jobs else {}
        stages.append({**one, "name": again, "save_every_steps": 1})
    return {"name": "ranks", "model": str(folder / f"start-{RANK}"), "seed": 3, "stages": stages}


def write_pairs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(16):
        question = [{"role": "user", "content": f"{number} + 1 ="}]
        chosen, rejected = (
            {"role": "assistant", "content": f"{number + off}", "reasoning_content": ""} for off in (1, 3)
        )
        row = {"id": f"p{number}", "prompt": question, "chosen": chosen, "rejected": rejected, "mode": "non_thinking"}
        lines.append(json.dumps(row) + "\n")
    (folder / "preferences.jsonl").write_text("".join(lines), encoding="utf-8")


def write_solutions(path: Path) -> None:
    lines = []
    for number in range(24):
        count = 1 + number % 4
        labels = [*[1.0] * (count - 1), float(number % 3 > 0)]
        steps = [f"{number} + {place} = {number + place}" for place in range(count)]
        question = [{"role": "user", "content": f"{number} + 1 ="}]
        lines.append(json.dumps({"prompt": question, "steps": steps, "labels": labels}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def write_mixture(target: Path) -> None:
    """A random Qwen3-MoE of two layers and four experts, with the embedded model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    torch.manual_seed(0)
    shape = Qwen3MoeConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=8, num_experts=4, num_experts_per_tok=2,
        max_position_embeddings=1024, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    Qwen3MoeForCausalLM(shape).save_pretrained(target)
    tokenizer.save_pretrained(target)


def write_teacher(target: Path) -> None:
    """A random Qwen3 of two layers, wider than the student and with its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(resource("data/base"))
    torch.manual_seed(1)
    shape = Qwen3Config(
        vocab_size=512, hidden_size=160, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=1024, tie_word_embeddings=True,
    )  # fmt: skip
    Qwen3ForCausalLM(shape).save_pretrained(target)
    tokenizer.save_pretrained(target)


def write_start(target: Path) -> None:
    """The embedded model without half of its layers: what ranks do is the same for each, and takes as long."""
    base = resource("data/base")
    config = AutoConfig.from_pretrained(base, num_hidden_layers=2, layer_types=["full_attention"] * 2)
    AutoModelForCausalLM.from_pretrained(base, config=config, dtype=torch.float32).save_pretrained(target)
    AutoTokenizer.from_pretrained(base).save_pretrained(target)


def begin_as_killed(plan: RunPlan, name: str) -> None:
    """Leave in a stage's folder what the stage that it resumes had when it was killed in its last step."""
    whole, killed = plan.folder(RESUMED[name]).checkpoints, plan.folder(name).checkpoints
    shutil.copytree(whole, killed, dirs_exist_ok=True)
    shutil.rmtree(killed / f"checkpoint-{STEPS}")


def train(plan: RunPlan, name: str, rank: int, processes: int) -> None:
    chosen, folder = plan.recipe.stage(name), plan.folder(name)
    folder.path.mkdir(parents=True, exist_ok=True)
    base = str(plan.run.path.with_name(f"{'mixture' if name == 'sft_moe' else 'start'}-{rank}"))
    context = StageContext(plan.recipe, chosen, plan.run, folder, base, rank, processes)
    if chosen.kind in SAMPLING:
        kind = {"grpo": grpo, "distill": distill}[chosen.kind]
        trainer, _ = kind.build(context, None if name in SAMPLED else ScriptedRollouts(rank))
    else:
        trainer, _ = {"sft": sft, "dpo": dpo, "prm": prm, "reward_model": reward_model}[chosen.kind].build(context)
    complete(trainer)
    if rank == 0 and name in RESUMED:
        begin_as_killed(plan, name)
    with context.at_end:
        trainer.train(resume_from_checkpoint=last_checkpoint(context))
    loads = {"prm": AutoModelForTokenClassification, "reward_model": AutoModelForSequenceClassification}
    save_proven(context, trainer, loads.get(chosen.kind, AutoModelForCausalLM))
    if rank == 0:
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        (folder.path / "losses.json").write_text(json.dumps(losses), encoding="utf-8")


def main(folder: Path, jobs: list[str]) -> None:
    rank, processes = RANK, int(os.environ.get("WORLD_SIZE", "1"))
    path = folder / f"recipe-{rank}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    write_solutions(folder / "solutions.jsonl")
    (folder / "reward.py").write_text(REWARD, encoding="utf-8")
    path.write_text(yaml.safe_dump(recipe(processes, folder, jobs)), encoding="utf-8")
    if "sft_moe" in jobs:  # before the trainers of a shard are asked for
        write_mixture(folder / f"mixture-{rank}")
    if any(job.startswith("distill") for job in jobs):
        write_teacher(folder / f"teacher-{rank}")
    write_start(folder / f"start-{rank}")
    plan = RunPlan.load(path, [], folder / "run")
    gc.freeze()  # each job collects three times: what is imported is left alone
    if rank == 0:
        write_pairs(plan.folder("pairs").output)
    for job in jobs:
        train(plan, job, rank, processes)
        gc.collect()
        AcceleratorState._reset_state()  # the next trainer's batch is another one
        parallel_state_sp._release_sequence_parallel_groups()  # a stage's process makes them once


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
