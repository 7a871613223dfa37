"""A small recipe on data of one's own, and what its stage would read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment.checks.recipe import checked
from alignment.data.mixture import conversations_of, load_parts
from alignment.data.rows import Conversation


def recipe(folder: Path, data: str, kind: str = "sft", more: str = "") -> Path:
    """A recipe with one stage on `data`, written as YAML."""
    path = folder / "recipe.yaml"
    path.write_text(
        "name: own\nmodel: embedded\nhardware: {accelerate: cpu}\nstages:\n"
        f"  - {{name: tune, kind: {kind}, data: {data}, max_length: 512, trainer: {{max_steps: 2}}{more}}}\n",
        encoding="utf-8",
    )
    return path


def grpo_recipe(folder: Path, data: str) -> Path:
    """A recipe with one grpo stage of two problems a step."""
    path = folder / "recipe.yaml"
    path.write_text(
        "name: own\nmodel: embedded\nhardware: {accelerate: cpu}\nstages:\n"
        f"  - {{name: rl, kind: grpo, data: {data}, rollout: {{engine: transformers, generations: 2, problems_per_step: 2, "
        "max_prompt_tokens: 64, max_completion_tokens: 8}, rewards: [{kind: math_answer}], micro_batch: 4, "
        "trainer: {max_steps: 1}}\n",
        encoding="utf-8",
    )
    return path


def chats(path: Path) -> Sequence[Conversation]:
    """The conversations that the recipe's stage trains on."""
    plan = checked(path, [])
    return conversations_of(plan.recipe, load_parts(plan.recipe.stages[0].data), Path)


def write_lines(path: Path, rows: Sequence[Any]) -> None:
    """JSON lines; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def chat(question: str, answer: str = "3") -> dict[str, Any]:
    """A row of OpenAI messages."""
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
