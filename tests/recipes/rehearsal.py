"""A GPU's recipe in miniature: its stages, kinds, rewards and settings on a CPU, with the embedded model, few rows and short texts.

What cannot be here is replaced: the model, public tables by sums in their columns, judges and reward models by small ones,
engines on GPUs by transformers. Everything else stands as in the recipe.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from alignment.core.resources import resource
from alignment.data.mixture import load_parts

ROWS = 240
ASKED = "State the final answer to the following arithmetic problem:"  # in the words that the embedded model has seen
SMALL = {
    "generations": 2, "problems_per_step": 2, "micro_batch": 2, "count": 8, "follow_count": 2, "samples": 4, "max_steps": 2,
    "max_prompt_tokens": 900, "max_completion_tokens": 64, "max_length": 512, "completions": 2, "max_turns": 3,
    "gradient_accumulation_steps": 1, "per_device_train_batch_size": 2, "warmup_steps": 0, "budgets": [0, 16],
}  # fmt: skip
OF_GPUS = ("save_every_steps", "num_train_epochs", "router_aux_loss_coef", "quantise")


def tables(folder: Path) -> dict[str, dict[str, str]]:
    """A table of sums for each public source, as `data.sources` names them."""
    folder.mkdir(parents=True, exist_ok=True)
    declared = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in resource("data/sources").glob("*.yaml")]
    public, found = sorted(one["id"] for one in declared if "hub" in one), {}
    for place, name in enumerate(public):
        file = folder / f"{name}.jsonl"
        rows = [_row(number, number * len(public) + place, name) for number in range(ROWS)]
        file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        found[name] = {"path": str(file)}
    return found


def _row(number: int, pair: int, source: str) -> dict[str, Any]:
    """A sum in the columns of every table, another for each pair; `answer` as GSM8K writes it where the source is GSM8K."""
    one, two = divmod(pair, 99)
    question, worked, total = f"{ASKED} {one} + {two} =", f"{one} + {two} = {one + two}", str(one + two)
    program = f"def total_{number}():\n    return {total}\n"
    turns = [{"role": "user", "content": f"Say {number}."}, {"role": "assistant", "content": f"{number}"}]
    return {
        "question": question,
        "problem": question,
        "answer": f"{worked}\n#### {total}" if source.startswith("gsm8k") else total,
        "final_answer": total,
        "r1_solution_1": f"{worked}</think>",
        "solution": f"{worked}, so \\boxed{{{total}}}",
        "task_id": number * 4 + 11,
        "text": f"Write a function total_{number} that returns {total}.",
        "code": program,
        "test_list": [f"assert total_{number}() == {total}"] * 3,
        "test_setup_code": "",
        "prompt": f"def total_{number}():\n",
        "canonical_solution": f"    return {total}\n",
        "test": f"def check(candidate):\n    assert candidate() == {total}\n",
        "entry_point": f"total_{number}",
        "messages": turns,
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    }


def lesson(folder: Path) -> Path:
    """A recipe that teaches the embedded model worked sums, so that some of what it samples in either mode is right."""
    data = [{"source": "deepmath", "mode": "thinking"}, {"source": "gsm8k-train", "mode": "non_thinking"}]
    trainer = {"max_steps": 150, "per_device_train_batch_size": 16, "learning_rate": 1.5e-3}
    stage = {"name": "sums", "kind": "sft", "data": data, "max_length": 256, "trainer": trainer}
    written = {"name": "sums", "model": "embedded", "hardware": {"accelerate": "cpu"}, "stages": [stage]}
    path = folder / "sums.yaml"
    path.write_text(yaml.safe_dump({**written, "data": {"sources": tables(folder / "tables")}}), encoding="utf-8")
    return path


def rehearsed(recipe: Path, folder: Path, *, model: Path, reward_model: Path, judge: str) -> Path:
    """The recipe in miniature, written into a folder. judge: the address of a judge's server."""
    given = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    given.pop("judges", None)
    for stage in given["stages"]:
        if isinstance(stage["data"], str):
            stage["data"] = [one.model_dump(mode="json", exclude_unset=True) for one in load_parts(stage["data"])]
        for part in stage["data"]:
            part["count"] = None if "stage" in part else SMALL["count"]
    small = _small(given)
    for stage in small["stages"]:
        _replaced(stage, model, reward_model, judge)
    small |= {"model": str(model), "hardware": {"accelerate": "cpu"}, "data": {"sources": tables(folder / "tables")}}
    small["evaluations"] |= {"engine": "transformers", "max_prompt_tokens": SMALL["max_prompt_tokens"]}
    path = folder / f"{given['name']}.yaml"
    path.write_text(yaml.safe_dump(small), encoding="utf-8")
    return path


def _small(value: Any) -> Any:
    """The same with the sizes of SMALL, wherever they stand, and without what only a GPU has."""
    if isinstance(value, list):
        return [_small(one) for one in value]
    if not isinstance(value, dict):
        return value
    small = {key: SMALL.get(key, _small(one)) for key, one in value.items() if key not in OF_GPUS}
    found = {key: one for key, one in small.items() if value[key] is not None}
    if "num_train_epochs" in value:
        found["max_steps"] = SMALL["max_steps"]
    return found


def _replaced(stage: dict[str, Any], model: Path, reward_model: Path, judge: str) -> None:
    """Put in the place of models and engines of GPUs what a CPU has."""
    if "rollout" in stage:
        stage["rollout"] |= {"engine": "transformers", "max_prompt_tokens": SMALL["max_prompt_tokens"]}
    if "model" in stage.get("teacher", {}):
        stage["teacher"]["model"] = str(model)
    for scorer in stage.get("scorers", []):
        if scorer["kind"] == "reward_model":
            scorer["model"] = str(reward_model)
    for reward in stage.get("rewards", []):
        if reward["kind"] == "judge":
            reward.pop("judge", None)
            reward.pop("agreement", None)
            reward["base_url"] = judge
