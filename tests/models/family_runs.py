"""Trains a family's tiny model by every kind, as a run does but in this process, and looks at what is left.

Neighbour: families.py (the models).
"""

import gc
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate.state import AcceleratorState
from transformers import AutoModelForCausalLM, AutoTokenizer

from alignment.checks.recipe import checked
from alignment.core.errors import AlignmentError
from alignment.inference.engine import EngineSettings, GenerationRequest, SamplingSettings, in_order
from alignment.inference.start import end_tokens, start_engine
from alignment.recipe.blocks.engine import engine_options
from alignment.run import base_model
from alignment.run.plan import RunPlan
from alignment.training.context import StageContext
from alignment.training.kinds.dpo import KIND as DPO
from alignment.training.kinds.grpo import KIND as GRPO
from alignment.training.kinds.sft import KIND as SFT

KINDS: dict[str, Callable[[StageContext], Any]] = {"sft": SFT.run, "dpo": DPO.run, "grpo": GRPO.run}
SUMS = [(a, b) for a in range(4) for b in range(2)]
TRAINER = {"max_steps": 2, "learning_rate": 1.0e-3}
NEW_TOKENS = 12
GREEDY = SamplingSettings(temperature=0.0, logprobs=False)


@dataclass(frozen=True)
class Trained:
    """What one stage made of a model: the folder it left and what its manifest would count, or why it was refused."""

    output: Path | None
    refusal: str = ""
    counts: dict[str, Any] | None = None


def write_rows(folder: Path) -> None:
    """Rows, pairs and problems of small sums, in the shapes that people have."""
    asked = [{"role": "user", "content": f"What is {a} + {b}?"} for a, b in SUMS]
    right, wrong = ([{"role": "assistant", "content": str(a + b + off)} for a, b in SUMS] for off in (0, 1))
    rows = [{"messages": [ask, say]} for ask, say in zip(asked, right, strict=True)]
    pairs = [
        {"prompt": [ask], "chosen": [good], "rejected": [bad]}
        for ask, good, bad in zip(asked, right, wrong, strict=True)
    ]
    problems = [{"question": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in SUMS]
    for name, found in (("rows", rows), ("pairs", pairs), ("problems", problems)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")


def stage_of(kind: str, engine: str = "transformers") -> dict[str, Any]:
    """The stage that is trained by a kind: two steps on a few short rows."""
    if kind == "grpo":
        rollout = {"engine": engine, "generations": 4, "problems_per_step": 2, "max_prompt_tokens": 300,
                   "max_completion_tokens": 12, "thinking_fraction": 0.0}  # fmt: skip
        return {"name": "grpo", "kind": "grpo", "data": [{"source": "./problems.jsonl"}], "rollout": rollout,
                "rewards": [{"kind": "math_answer"}, {"kind": "repetition"}], "micro_batch": 4,
                # Random answers may all score alike: the KL term and the bonus have a gradient all the same.
                "algorithm": {"type": "dapo", "beta": 0.01, "entropy_bonus": 0.1}, "trainer": TRAINER}  # fmt: skip
    part = {"source": "./rows.jsonl", "mode": "non_thinking"} if kind == "sft" else {"source": "./pairs.jsonl"}
    return {"name": kind, "kind": kind, "data": [part], "max_length": 400,
            "trainer": {**TRAINER, "per_device_train_batch_size": 4}}  # fmt: skip


def train(model: Path, template: str | None, kind: str, folder: Path, engine: str = "transformers") -> Trained:
    """Check a recipe of one stage and run it, base/ and all. Refusals of the project's own are caught, nothing else is."""
    os.environ.update(ACCELERATE_USE_CPU="true", TOKENIZERS_PARALLELISM="false")
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder)
    recipe = {"name": "family", "model": str(model), "stages": [stage_of(kind, engine)]}
    if template is not None:
        recipe["chat_template"] = template
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    try:
        checked(folder / "recipe.yaml", [])
        plan = RunPlan.load(folder / "recipe.yaml", [], folder / "run")
        if plan.base.needs_preparing():
            base_model._prepare(plan)
        stage = plan.folder(kind)
        stage.path.mkdir(parents=True, exist_ok=True)
        context = StageContext(plan.recipe, plan.recipe.stage(kind), plan.run, stage, plan.policy_path(kind))
        KINDS[kind](context)
    except AlignmentError as error:
        said = str(error).replace(str(folder / "run" / "base"), "MODEL").replace(str(folder), "FOLDER")
        return Trained(None, said.replace(str(model), "MODEL"))
    finally:
        gc.collect()
        AcceleratorState._reset_state(reset_partial_state=True)  # the next trainer's batch is another one
    return Trained(stage.output, counts=dict(context.counts))


def prompts_of(model: Path) -> list[list[int]]:
    """The questions as the model's template renders them."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    return [
        list(
            tokenizer.apply_chat_template(
                [{"role": "user", "content": f"What is {a} + {b}?"}], add_generation_prompt=True, return_dict=False,
                enable_thinking=True,
            )
        )
        for a, b in SUMS[:3]
    ]  # fmt: skip


def plain_greedy(model: Path) -> list[list[int]]:
    """Greedy tokens of plain transformers, with the folder's own generation_config and nothing of this project."""
    loaded, report = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, output_loading_info=True)
    unused = [key for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if report.get(key)]
    assert not unused, f"{model}: {unused}"
    made = []
    for ids in prompts_of(model):
        with torch.no_grad():
            output = loaded.eval().generate(torch.tensor([ids]), max_new_tokens=NEW_TOKENS, do_sample=False)
        made.append(output[0, len(ids) :].tolist())
    return made


def engine_greedy(model: Path, name: str) -> list[list[int]]:
    """Greedy tokens of one of this project's engines. Raises EngineError if it cannot take the model."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    options = engine_options(name, dtype="float32")
    settings = EngineSettings(str(model), 400, end_tokens(str(model), tokenizer), 0, options)
    engine = start_engine(settings)
    try:
        asked = [GenerationRequest(ids, "non_thinking", max_tokens=NEW_TOKENS) for ids in prompts_of(model)]
        return [one.token_ids for one in in_order(engine.generate(asked, GREEDY))]
    finally:
        engine.close()
