"""Checks of `scorers` of a grpo stage, before anything starts and without torch.

Neighbours: grpo.py (the stage), recipe/blocks/scorers.py (the settings), inference/reward_model.py (refuses the same
when it loads).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alignment.core.files import json_or_empty
from alignment.inference.vllm.kind import vllm_fault
from alignment.recipe.blocks.scorers import RewardModelScorer
from alignment.recipe.issue import Issue, Place, nearest
from alignment.recipe.kinds import kind_of
from alignment.recipe.schema import Recipe

if TYPE_CHECKING:
    from alignment.training.kinds.grpo import GrpoStage


def scorers(recipe: Recipe, index: int, stage: "GrpoStage") -> Iterator[Issue]:
    """Scorers have names of their own, models that are there and are reward models, and whole groups to centre."""
    place: Place = ("stages", index, "scorers")
    taken = [spec.called for spec in stage.rewards] + (["process"] if stage.process is not None else [])
    for number, one in enumerate(stage.scorers):
        if one.called in taken:
            message = f"there is another score called `{one.called}` in this stage; give this one its own `name`"
            yield Issue((*place, number), message)
        taken.append(one.called)
        if isinstance(one, RewardModelScorer):
            yield from _reward_model(recipe, index, one, (*place, number))
            yield from _engine_runs(recipe, one, (*place, number))
            yield from _whole_groups(recipe, stage, one, (*place, number))


def _reward_model(recipe: Recipe, index: int, one: RewardModelScorer, place: Place) -> Iterator[Issue]:
    if one.stage is not None:
        left = [other.name for other in recipe.stages[:index] if kind_of(other).leaves == "reward_model"]
        if one.stage not in left:
            hint = nearest(one.stage, left) if left else "add a stage of kind reward_model before this one"
            message = f"found `{one.stage}`, which is no reward_model stage before this one; {hint}"
            yield Issue((*place, "stage"), message)
        return
    folder = Path(str(one.model))
    if folder.is_dir():
        for fault in folder_faults(folder):
            yield Issue((*place, "model"), fault)
    elif folder.is_absolute() or str(one.model).startswith(".") or str(one.model).count("/") != 1:
        yield Issue((*place, "model"), f"there is no folder {one.model}; name a reward model's folder or hub id")


def _engine_runs(recipe: Recipe, one: RewardModelScorer, place: Place) -> Iterator[Issue]:
    """vLLM can run here, beside so many training processes."""
    fault = vllm_fault(recipe.hardware.processes) if one.engine == "vllm" else None
    if fault is not None:
        yield Issue((*place, "engine"), f"vllm cannot run here: {fault}; write `engine: transformers`")


def _whole_groups(recipe: Recipe, stage: "GrpoStage", one: RewardModelScorer, place: Place) -> Iterator[Issue]:
    """A group's mean needs its whole group on one process."""
    rollout, processes = stage.rollout, recipe.hardware.processes
    own = rollout.problems_per_step * rollout.generations // processes
    if one.centre and own % rollout.generations:
        yield Issue(
            (*place, "centre"),
            f"needs whole groups on each process, and {rollout.problems_per_step} problems are not shared out evenly over "
            f"{processes} processes; write a problems_per_step that {processes} divides, or `centre: false`",
        )


def folder_faults(folder: Path) -> Iterator[str]:
    """Why a folder cannot score conversations: it is no reward model, or its tokenizer is not the model's."""
    config = json_or_empty(folder / "config.json")
    if not config:
        yield f"{folder} has no config.json that can be read; name a reward model's folder"
        return
    architecture = (config.get("architectures") or ["not named"])[0]
    labels = config.get("num_labels") or len(config.get("id2label") or {0: "", 1: ""})
    if "SequenceClassification" not in architecture or labels != 1:
        yield (
            f"found the architecture {architecture} with {labels} labels, and a reward model classifies sequences with one "
            "label; name the output of a reward_model stage"
        )
    if not (folder / "chat_template.jinja").is_file() and not json_or_empty(folder / "tokenizer_config.json").get(
        "chat_template"
    ):
        yield f"{folder} has no chat template, so that nobody knows how the model was shown conversations"
    rows, tokenizer = (config.get("text_config") or config).get("vocab_size"), json_or_empty(folder / "tokenizer.json")
    highest = max((*_ids(tokenizer), -1))
    if isinstance(rows, int) and highest >= rows:
        yield (
            f"its tokenizer has a token {highest} and its embedding {rows} rows; they are not of one model: copy the tokenizer "
            "that it was trained with"
        )


def _ids(tokenizer: Mapping[str, Any]) -> Iterator[int]:
    vocabulary = (tokenizer.get("model") or {}).get("vocab")
    if isinstance(vocabulary, dict):
        yield from vocabulary.values()
    elif isinstance(vocabulary, list):
        yield len(vocabulary) - 1
    yield from (one["id"] for one in tokenizer.get("added_tokens") or [])
